"""What goes between the server and its worker: numbers and names, never tensors or weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....models.cascade.policy import Cascade, Student
from ....models.errors import NestlingError
from ....models.precision import Precision
from ....models.runners.base import ForwardBatch, ForwardOutput
from ...settings import Settings


@dataclass(frozen=True)
class Open:
    """The first message: which checkpoint to load, and how."""

    path: Path
    settings: Settings


@dataclass(frozen=True)
class Opening:
    """Before its answer, as often as there is something to say: how far it is.

    total: 0 where nobody knows.
    """

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Opened:
    """Its answer: what is served. runner, precision: those chosen.

    device: by its name, such as `cuda:0`. weights_sha256: of the weights that were found.
    """

    students: dict[str, Student]
    cascades: dict[str, Cascade]
    default: str
    runner: str
    precision: Precision
    device: str
    weights_sha256: str


@dataclass(frozen=True)
class Embed:
    """Sequences for one student's vectors."""

    sequences: list[list[int]]
    student: str
    dimensions: int


@dataclass(frozen=True)
class Failed:
    """Instead of an answer. kind: `user` can be fixed by the user, who is told `message`;
    `memory` by smaller batches; of `error` the message is the traceback.
    """

    kind: str
    message: str

    def exception(self) -> Exception:
        """What the server raises of it."""
        if self.kind == "user":
            return NestlingError(self.message)
        if self.kind == "memory":
            return MemoryError(self.message)
        return RuntimeError(f"in the worker:\n{self.message}")


Request = ForwardBatch | Embed
Answer = ForwardOutput | NDArray[np.float32] | Failed
