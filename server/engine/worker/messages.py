"""What goes between the server and its worker: numbers and names, never tensors or weights."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....models.cascade import Cascade, Student
from ....models.step import Questions, Verdicts
from ...settings import Settings


@dataclass(frozen=True)
class Open:
    """The first message: which checkpoint to load, and how."""

    path: Path
    settings: Settings


@dataclass(frozen=True)
class Opened:
    """Its answer: what is served. runner: the one chosen.

    device: by its name, such as `cuda:0`. weights_sha256: of the weights that were found.
    """

    students: dict[str, Student]
    cascades: dict[str, Cascade]
    default: str
    runner: str
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
    """Instead of an answer. kind: `user` can be mended by the user, who is told `message`;
    `memory` by smaller batches; of `error` the message is the traceback.
    """

    kind: str
    message: str


Request = Questions | Embed
Answer = Verdicts | NDArray[np.float32] | Failed


def send(connection: Connection[Any, Any], message: object) -> None:
    """Not by the connection's own `send`, which gathers what else it could pickle each time.

    Raises OSError if the other end has gone.
    """
    connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def receive(connection: Connection[Any, Any]) -> Any:
    """The next message; waits for it. Raises EOFError or OSError if the other end has gone."""
    return pickle.loads(connection.recv_bytes())
