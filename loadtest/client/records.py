"""The results of each request and of each text, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .plan import SendPlan

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Joined = TypeVar("Joined")


@dataclass(frozen=True)
class Requests:
    """One value for each request, in the order in which they were due.

    due: seconds from the start, float64. latency: seconds from then until the answer was complete,
    or the failure known. lag: seconds by which the client itself was late. status: the HTTP status,
    or a Failure. fault: index into Fault, -1 for none. brownout: the level. sizes: the number of
    texts.
    """

    due: NDArray[np.float64]
    latency: Floats
    lag: Floats
    status: Ints
    protocol: Ints
    fault: Ints
    brownout: Ints
    sizes: Ints


@dataclass(frozen=True)
class PerText:
    """One value for each text, those of the first request first.

    row: of the data. label, student: indices into the names, -1 if there is none. cost: relative to
    the largest model. seconds: of the device. Both are nan where the server does not report them.
    """

    row: Ints
    label: Ints
    student: Ints
    cost: Floats
    seconds: Floats


@dataclass(frozen=True)
class Records:
    """All results of a run.

    cpu_seconds: CPU time of the clients while they sent. window: seconds from the start to the end.
    """

    requests: Requests
    texts: PerText
    labels: tuple[str, ...]
    students: tuple[str, ...]
    cpu_seconds: float
    window: float

    def __len__(self) -> int:
        return len(self.requests.due)

    def where(self, kept: NDArray[np.bool_]) -> Records:
        """A part of the requests, with their texts. kept: (requests,), bool."""
        of_texts = np.repeat(kept, self.requests.sizes)
        return replace(
            self,
            requests=Requests(*(column[kept] for column in _columns(self.requests))),
            texts=PerText(*(column[of_texts] for column in _columns(self.texts))),
        )


def blank(plan: SendPlan) -> tuple[Requests, PerText]:
    """Columns for the results of a plan, before there are any."""
    n, m = len(plan), len(plan.rows)
    requests = Requests(
        plan.due,
        np.full(n, np.nan, np.float32),
        np.zeros(n, np.float32),
        np.zeros(n, np.int32),
        plan.protocols.astype(np.int32),
        plan.faults.astype(np.int32),
        np.zeros(n, np.int32),
        plan.sizes,
    )
    texts = PerText(
        plan.rows,
        np.full(m, -1, np.int32),
        np.full(m, -1, np.int32),
        np.full(m, np.nan, np.float32),
        np.full(m, np.nan, np.float32),
    )
    return requests, texts


def merge(parts: Sequence[Records]) -> Records:
    """The records of several processes as one; each process numbers its names by itself."""
    labels: dict[str, int] = {}
    students: dict[str, int] = {}
    columns = [
        replace(
            part.texts,
            label=_renumbered(part.texts.label, part.labels, labels),
            student=_renumbered(part.texts.student, part.students, students),
        )
        for part in parts
    ]
    requests = _joined(Requests, [_columns(part.requests) for part in parts])
    texts = _joined(PerText, [_columns(part) for part in columns])
    order = np.argsort(requests.due, kind="stable")
    firsts = np.cumsum(requests.sizes) - requests.sizes
    sizes = requests.sizes[order]
    starts = np.repeat(firsts[order] - (np.cumsum(sizes) - sizes), sizes)
    of_texts = starts + np.arange(len(starts))
    return Records(
        Requests(*(column[order] for column in _columns(requests))),
        PerText(*(column[of_texts] for column in _columns(texts))),
        tuple(labels),
        tuple(students),
        sum(part.cpu_seconds for part in parts),
        max(part.window for part in parts),
    )


def _renumbered(codes: Ints, names: Sequence[str], known: dict[str, int]) -> Ints:
    table = [known.setdefault(name, len(known)) for name in names]
    return np.array([*table, -1], np.int32)[codes]


def _columns(record: Requests | PerText) -> list[Any]:
    return [getattr(record, field.name) for field in fields(record)]


def _joined(kind: type[Joined], parts: list[list[Any]]) -> Joined:
    return kind(*(np.concatenate(column) for column in zip(*parts, strict=True)))
