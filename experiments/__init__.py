"""A/B experiments: what is declared, who gets which variant, what the numbers say.

No input, no output, no clock but the one that is given. `parse` makes a plan of a declaration,
`changes` the step from one plan to the next, `Assigners` assigns, `statistics` reports.
"""

from .assignment import Assigners, Assignment
from .clock import SteadyClock
from .definition import Experiment, ExperimentLayer, ExperimentPlan, RampPhase, Unit, Variant
from .diff import Change, changes
from .errors import DeclarationError, Problem
from .field_checks import Known
from .loader import read
from .parsing import parse

__all__ = [
    "Assigners",
    "Assignment",
    "Change",
    "DeclarationError",
    "Experiment",
    "ExperimentLayer",
    "ExperimentPlan",
    "Known",
    "Problem",
    "RampPhase",
    "SteadyClock",
    "Unit",
    "Variant",
    "changes",
    "parse",
    "read",
]
