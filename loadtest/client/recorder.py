"""Writes the results of a plan's requests into columns, as they come."""

from __future__ import annotations

from collections.abc import Callable

from .connection import OK, Failure
from .plan import SendPlan
from .protocols import Answer, Headers
from .records import Records, blank

NOTHING = Answer(())


def read_answer(
    read: Callable[[Headers, bytes], Answer], status: int, headers: Headers, body: bytes, texts: int
) -> tuple[int, Answer]:
    """The status and the answer, or UNREADABLE and an empty one if the body has another form.

    read: a protocol's reader. texts: the number of labels that the answer must have.
    """
    if status != OK:
        return status, NOTHING
    try:
        answer = read(headers, body)
    except (ValueError, KeyError, IndexError, TypeError):
        return Failure.UNREADABLE, NOTHING
    return (status, answer) if len(answer.labels) == texts else (Failure.UNREADABLE, NOTHING)


class Recorder:
    """The columns of one plan, and the names that they refer to."""

    def __init__(self, plan: SendPlan) -> None:
        self.requests, self._texts = blank(plan)
        self._firsts: list[int] = (plan.sizes.cumsum() - plan.sizes).tolist()
        self._labels: dict[str, int] = {}
        self._students: dict[str, int] = {}

    def keep(self, number: int, latency: float, status: int, answer: Answer) -> None:
        """Record one request. number: its place in the plan. latency: seconds."""
        requests, texts, first = self.requests, self._texts, self._firsts[number]
        requests.latency[number], requests.status[number] = latency, status
        for at, label in enumerate(answer.labels, first):
            texts.label[at] = self._labels.setdefault(label, len(self._labels))
        for at, student in enumerate(answer.students, first):
            texts.student[at] = self._students.setdefault(student, len(self._students))
        for at, cost in enumerate(answer.costs, first):
            texts.cost[at] = cost
        for at, seconds in enumerate(answer.seconds, first):
            texts.seconds[at] = seconds
        if answer.brownout:
            requests.brownout[number] = answer.brownout

    def records(self, cpu_seconds: float, window: float) -> Records:
        """All results. cpu_seconds, window: as of `Records`."""
        labels, students = tuple(self._labels), tuple(self._students)
        return Records(self.requests, self._texts, labels, students, cpu_seconds, window)
