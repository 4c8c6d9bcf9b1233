"""The queue alone: what it gives, in which order, within which budget."""

from __future__ import annotations

from math import inf
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.models import Decision
from nestling.server.engine.queue import PendingRequest, QueueEntry, WorkQueue

BUDGET, TEXTS = 40, 8
LARGE = 20
"""Texts of a request that goes into the lane for large ones."""


class FakeJob:
    def __init__(self, closed: bool = False) -> None:
        self.closed = closed


class FakeDecision:
    def __init__(self, tokens: int, shadow: bool) -> None:
        self.tokens = [0] * tokens
        self.shadow = shadow


def entry(
    tokens: int, closed: bool = False, arrived: float = 0.0, shadow: bool = False
) -> QueueEntry:
    decision = cast(Decision, FakeDecision(tokens, shadow))
    return QueueEntry(decision, cast(PendingRequest, FakeJob(closed)), arrived=arrived)


def drain(queue: WorkQueue) -> list[list[QueueEntry]]:
    queue.close()
    return list(iter(lambda: queue.take()[0], []))


def lengths(batch: list[QueueEntry]) -> list[int]:
    return [len(t.decision.tokens) for t in batch]


requests = st.lists(
    st.lists(st.tuples(st.integers(1, BUDGET), st.booleans()), min_size=1, max_size=LARGE),
    max_size=12,
)
"""Requests of (tokens, whether the client has gone)."""


@given(requests)
def test_nothing_is_lost_nothing_twice_within_the_budget(
    items: list[list[tuple[int, bool]]],
) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    made = [[entry(n, closed) for n, closed in request] for request in items]
    for request in made:
        queue.put(request)
    batches = drain(queue)
    got = sorted(t.number for batch in batches for t in batch)
    assert got == [t.number for request in made for t in request if not t.request.closed]
    assert all(len(batch) <= TEXTS and sum(lengths(batch)) <= BUDGET for batch in batches)
    assert all(batches)
    assert len(queue) == 0


@given(requests)
def test_the_oldest_of_a_lane_always_goes_unless_it_does_not_fit(
    items: list[list[tuple[int, bool]]],
) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    small = [entry(n) for request in items for n, _ in request]
    for one in small:
        queue.put([one])
    left = [t.number for t in small]
    for batch in drain(queue):
        assert left[0] in {t.number for t in batch}
        left = [n for n in left if n not in {t.number for t in batch}]


def test_texts_of_like_length_go_together() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    for n in [2, 5, 2, 5, 2, 5, 2, 5, 2, 5, 2, 5, 2, 5, 2, 5]:
        queue.put([entry(n)])
    assert [lengths(batch) for batch in drain(queue)] == [[2] * 8, [5] * 8]


def test_a_large_request_and_small_ones_do_not_starve_each_other() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    large = [entry(1) for _ in range(LARGE)]
    queue.put(large)
    small = [entry(1) for _ in range(LARGE)]
    for one in small:
        queue.put([one])
    first = queue.take()[0]
    assert len(first) == TEXTS
    assert sum(t in large for t in first) == TEXTS // 4
    assert first[0] is small[0]
    rest = drain(queue)
    assert sum(map(len, rest)) == 2 * LARGE - TEXTS


@given(requests, st.data())
def test_escalated_work_goes_first_by_its_arrival(
    items: list[list[tuple[int, bool]]], data: st.DataObject
) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    for request in items:
        queue.put([entry(n) for n, _ in request])
    taken = [t for _ in range(data.draw(st.integers(0, 3))) if len(queue) for t in queue.take()[0]]
    queue.requeue(data.draw(st.permutations(taken)) if taken else [])
    waiting = sorted(t.number for t in taken)
    for batch in drain(queue):
        escalated = [t.number for t in batch if t in taken]
        # New texts go only into the places that the next escalated one is too long for.
        assert [t.number for t in batch[: len(escalated)]] == escalated
        assert escalated == waiting[: len(escalated)]
        assert escalated or not waiting
        waiting = waiting[len(escalated) :]
    assert not waiting


def test_a_batch_full_of_escalated_texts_leaves_large_requests_for_the_next() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    escalated = [entry(1) for _ in range(TEXTS)]
    for one in escalated:
        queue.put([one])
    assert queue.take()[0] == escalated
    large = [entry(1) for _ in range(LARGE)]
    queue.put(large)
    queue.requeue(escalated)
    assert queue.take()[0] == escalated
    assert queue.take()[0] == large[:TEXTS]


def test_age_is_that_of_the_oldest_that_a_person_waits_for() -> None:
    now = 10.0
    queue = WorkQueue(BUDGET, TEXTS, clock=lambda: now)
    assert queue.age() == 0
    queue.put([entry(1, arrived=1.0, shadow=True)])
    assert queue.age() == 0
    queue.put([entry(1, arrived=8.0)])
    assert queue.age() == 2
    queue.requeue([entry(1, arrived=4.0)])
    assert queue.age() == 6


def test_shadow_texts_go_when_there_is_nothing_else() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    shadow = [entry(1, shadow=True) for _ in range(3)]
    for one in shadow:
        queue.put([one])
    asked = [entry(1) for _ in range(2)]
    queue.put(asked)
    assert drain(queue) == [asked, shadow]


def test_a_text_beyond_the_budget_goes_alone() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    queue.put([entry(BUDGET + 1), entry(1)])
    assert [lengths(batch) for batch in drain(queue)] == [[BUDGET + 1], [1]]


def test_a_busy_engine_lets_a_batch_fill_until_its_oldest_text_is_old_enough() -> None:
    now = 0.0
    queue = WorkQueue(BUDGET, TEXTS, fill_seconds=0.05, clock=lambda: now)
    queue.put([entry(1, arrived=now)])
    assert queue.take() == ([], pytest.approx(0.05))
    now = 0.03
    queue.put([entry(1, arrived=now)])
    assert queue.take() == ([], pytest.approx(0.02))
    now = 0.05
    assert len(queue.take()[0]) == 2  # the oldest has waited long enough
    for _ in range(TEXTS):
        queue.put([entry(1, arrived=now)])
    assert len(queue.take()[0]) == TEXTS  # full: it does not wait at all


def test_an_idle_engine_takes_at_once_what_comes() -> None:
    queue = WorkQueue(BUDGET, TEXTS, fill_seconds=0.05, clock=lambda: 0.0)
    assert queue.take() == ([], inf)
    first = entry(3)
    queue.put([first])
    assert queue.take() == ([first], inf)


def test_a_closed_queue_gives_what_it_has_and_takes_nothing() -> None:
    queue = WorkQueue(BUDGET, TEXTS, fill_seconds=0.05)
    first = entry(3)
    queue.put([first])
    queue.close()
    with pytest.raises(RuntimeError, match="closed"):
        queue.put([entry(1)])
    assert queue.take() == ([first], inf)
    assert queue.take() == ([], inf)
