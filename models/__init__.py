"""What is served and how it comes to be: one nested checkpoint and all its students.

from nestling.models import Predictor, load_checkpoint

predictor = Predictor(load_checkpoint("my-checkpoint"))
for decision in predictor.predict(["how do i say goodbye in french"]):
    print(predictor.label(decision), decision.answer.confidence, decision.relative_cost)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cascade.decisions import Decision, Step
    from .cascade.policy import Cascade, Stage, Student
    from .checkpoint.load import Checkpoint, load_checkpoint
    from .errors import CheckpointError, DataError, NestlingError
    from .evaluation.predictor import Predictor
    from .nested.spec import StudentSpec

_MODULES = {
    "Cascade": "cascade.policy",
    "Checkpoint": "checkpoint.load",
    "CheckpointError": "errors",
    "DataError": "errors",
    "Decision": "cascade.decisions",
    "NestlingError": "errors",
    "Predictor": "evaluation.predictor",
    "Stage": "cascade.policy",
    "Step": "cascade.decisions",
    "Student": "cascade.policy",
    "StudentSpec": "nested.spec",
    "load_checkpoint": "checkpoint.load",
}

__all__ = [
    "Cascade",
    "Checkpoint",
    "CheckpointError",
    "DataError",
    "Decision",
    "NestlingError",
    "Predictor",
    "Stage",
    "Step",
    "Student",
    "StudentSpec",
    "load_checkpoint",
]


def __getattr__(name: str) -> Any:
    """On first use: torch takes a second and a half to import, and `--help` never needs it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
