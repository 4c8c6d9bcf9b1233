"""What is served and how it comes to be: one nested checkpoint and all its students.

from nestling.models import Predictor, load_checkpoint

predictor = Predictor(load_checkpoint("my-checkpoint"))
for decision in predictor.predict(["how do i say goodbye in french"]):
    print(predictor.label(decision), decision.answer.confidence, decision.relative_cost)
"""

from .cascade import Cascade, Stage, Student
from .checkpoint import Checkpoint, load_checkpoint
from .decision import Decision, Step
from .errors import CheckpointError, DataError, NestlingError
from .predictor import Predictor
from .spec import StudentSpec

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
