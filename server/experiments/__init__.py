"""A/B experiments: what is declared, who gets which variant, what the numbers say.

No input, no output, no clock but the one that is given. `parse` makes a plan of a declaration,
`changes` the step from one plan to the next, `Assigners` assigns, `statistics` reports.
"""

from .assignment import Assigners, Assignment
from .changes import Change, changes
from .clock import SteadyClock
from .declaration import read
from .definition import Experiment, Layer, Phase, Plan, Unit, Variant
from .fields import DeclarationError, Problem
from .parsing import Known, parse

__all__ = [
    "Assigners",
    "Assignment",
    "Change",
    "DeclarationError",
    "Experiment",
    "Known",
    "Layer",
    "Phase",
    "Plan",
    "Problem",
    "SteadyClock",
    "Unit",
    "Variant",
    "changes",
    "parse",
    "read",
]
