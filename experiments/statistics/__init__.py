"""What the numbers of an experiment say, at every moment, however often one looks.

One file per idea, each with its formula and source. `report` runs the whole on summaries that a
database can aggregate; `guardrails` tells which variant to stop.
"""
