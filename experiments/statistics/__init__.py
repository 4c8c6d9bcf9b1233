"""What the numbers of an experiment say, at every moment, however often one looks.

One file per idea, each with its formula and source. `report` runs the whole on summaries that a
database can aggregate; `guardrails` tells which variant to stop.
"""

from .guardrails import Breach, breach
from .quantiles import Quantile, quantile
from .report import Report, VariantObservations, VariantTraffic, report
from .summary import Joint, Summary
from .verdict import Verdict

__all__ = [
    "Breach",
    "Joint",
    "Quantile",
    "Report",
    "Summary",
    "VariantObservations",
    "VariantTraffic",
    "Verdict",
    "breach",
    "quantile",
    "report",
]
