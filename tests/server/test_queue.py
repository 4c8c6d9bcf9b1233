"""The queue alone: what it gives, in which order, within which budget."""

from __future__ import annotations

from itertools import pairwise
from threading import Thread
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.models import Decision
from nestling.server.engine.job import Job, Ticket
from nestling.server.engine.queue import WorkQueue

BUDGET, TEXTS = 40, 5


class FakeJob:
    def __init__(self, closed: bool = False) -> None:
        self.closed = closed


class FakeDecision:
    def __init__(self, tokens: int) -> None:
        self.tokens = [0] * tokens


def ticket(tokens: int, closed: bool = False) -> Ticket:
    return Ticket(cast(Decision, FakeDecision(tokens)), cast(Job, FakeJob(closed)))


def drain(queue: WorkQueue) -> list[list[Ticket]]:
    queue.close()
    return list(iter(queue.take, []))


sizes = st.lists(st.integers(1, BUDGET), max_size=60)


@given(sizes)
def test_nothing_is_lost_and_order_is_arrival(lengths: list[int]) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    tickets = [ticket(n) for n in lengths]
    queue.put(tickets)
    assert [t for batch in drain(queue) for t in batch] == tickets
    assert len(queue) == 0


@given(sizes)
def test_batches_keep_the_budget_and_are_full(lengths: list[int]) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    queue.put([ticket(n) for n in lengths])
    batches = [[len(t.decision.tokens) for t in batch] for batch in drain(queue)]
    assert all(sum(batch) <= BUDGET and len(batch) <= TEXTS for batch in batches)
    for batch, following in pairwise(batches):
        assert len(batch) == TEXTS or sum(batch) + following[0] > BUDGET


@given(sizes, st.data())
def test_escalated_work_goes_first_by_its_arrival(lengths: list[int], data: st.DataObject) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    tickets = [ticket(n) for n in lengths]
    queue.put(tickets)
    taken: list[Ticket] = []
    for _ in range(data.draw(st.integers(0, 5))):
        if len(queue):
            taken += queue.take()
    escalated = data.draw(st.permutations(taken)) if taken else []
    queue.put_back(escalated)
    expected = sorted(taken, key=lambda t: t.number) + tickets[len(taken) :]
    assert [t for batch in drain(queue) for t in batch] == expected


@given(st.lists(st.tuples(st.integers(1, BUDGET), st.booleans()), max_size=60))
def test_closed_jobs_are_dropped_and_cost_no_budget(items: list[tuple[int, bool]]) -> None:
    queue, alone = WorkQueue(BUDGET, TEXTS), WorkQueue(BUDGET, TEXTS)
    queue.put([ticket(n, closed) for n, closed in items])
    alone.put([ticket(n) for n, closed in items if not closed])
    assert [[len(t.decision.tokens) for t in batch] for batch in drain(queue)] == [
        [len(t.decision.tokens) for t in batch] for batch in drain(alone)
    ]


def test_a_text_beyond_the_budget_goes_alone() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    queue.put([ticket(1), ticket(BUDGET + 1), ticket(1)])
    assert [len(batch) for batch in drain(queue)] == [1, 1, 1]


def test_take_waits_for_work_and_for_the_end() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    taken: list[list[Ticket]] = []

    def work() -> None:
        while batch := queue.take():
            taken.append(batch)

    thread = Thread(target=work)
    thread.start()
    first = ticket(3)
    queue.put([first])
    while not taken:
        pass
    queue.close()
    thread.join(timeout=30)
    assert taken == [[first]]
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        queue.put([ticket(1)])
