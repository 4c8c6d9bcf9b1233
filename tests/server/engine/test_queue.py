"""The queue alone: what it gives, in which order, within which budget."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.models import Cascade, Stage, Student
from nestling.models.cascade.columns import Decisions
from nestling.models.cascade.policy import FlopsByLength
from nestling.server.engine.escalated import ENOUGH, TURNS
from nestling.server.engine.pending import PendingPart, PendingRequest
from nestling.server.engine.queue import WorkQueue

BUDGET, TEXTS = 40, 8
LARGE = 20
"""Texts of a request that goes into the lane for large ones."""


def entry(
    *tokens: int, closed: bool = False, arrived: float = 0.0, shadow: bool = False
) -> PendingRequest:
    """A request of texts with so many tokens."""
    student = cast(Student, SimpleNamespace(name="alone"))
    cascade = Cascade("alone", (Stage(student, 0.0),))
    flops = cast(FlopsByLength, None)
    decisions = Decisions(cascade, [[0] * count for count in tokens], flops, shadow=shadow)
    request = PendingRequest(decisions, None, arrived)
    request.closed = closed
    return request


Texts = list[tuple[PendingRequest, int]]
"""A batch, text by text: its request, and which of its texts it is."""


def texts_of(batch: list[PendingPart]) -> Texts:
    return [(part.request, row) for part in batch for row in part.rows]


def number(text: tuple[PendingRequest, int]) -> int:
    return text[0].number + text[1]


def take(queue: WorkQueue) -> Texts:
    return texts_of(queue.take()[0])


def drain(queue: WorkQueue) -> list[Texts]:
    queue.close()
    return list(iter(lambda: take(queue), []))


def lengths(batch: Texts) -> list[int]:
    return [request.decisions.lengths[row] for request, row in batch]


def all_of(request: PendingRequest) -> Texts:
    return [(request, row) for row in range(len(request.decisions))]


requests = st.lists(
    st.tuples(st.lists(st.integers(1, BUDGET), min_size=1, max_size=LARGE), st.booleans()),
    max_size=12,
)
"""Requests: the tokens of each text, and whether the client has gone."""


@given(requests)
def test_nothing_is_lost_nothing_twice_within_the_budget(
    items: list[tuple[list[int], bool]],
) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    made = [entry(*tokens, closed=closed) for tokens, closed in items]
    for request in made:
        queue.put(request)
    assert len(queue) == sum(len(tokens) for tokens, _ in items)
    batches = drain(queue)
    got = sorted(map(number, (text for batch in batches for text in batch)))
    assert got == [number(t) for request in made if not request.closed for t in all_of(request)]
    assert all(len(batch) <= TEXTS and sum(lengths(batch)) <= BUDGET for batch in batches)
    assert all(batches)
    assert len(queue) == 0


@given(requests)
def test_the_oldest_of_a_lane_always_goes_unless_it_does_not_fit(
    items: list[tuple[list[int], bool]],
) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    small = [entry(n) for tokens, _ in items for n in tokens]
    for one in small:
        queue.put(one)
    left = [request.number for request in small]
    for batch in drain(queue):
        went = set(map(number, batch))
        assert left[0] in went
        left = [n for n in left if n not in went]


def test_texts_of_like_length_go_together() -> None:
    for requests_of in ([[2], [5]], [[2, 5]]):
        queue = WorkQueue(BUDGET, TEXTS)
        for _ in range(8):
            for tokens in requests_of:
                queue.put(entry(*tokens))
        assert [lengths(batch) for batch in drain(queue)] == [[2] * 8, [5] * 8]


def test_a_large_request_and_small_ones_do_not_starve_each_other() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    large = entry(*[1] * LARGE)
    queue.put(large)
    small = [entry(1) for _ in range(LARGE)]
    for one in small:
        queue.put(one)
    first = take(queue)
    assert len(first) == TEXTS
    assert sum(request is large for request, _ in first) == TEXTS // 4
    assert first[0] == (small[0], 0)
    rest = drain(queue)
    assert sum(map(len, rest)) == 2 * LARGE - TEXTS


@given(requests, st.data())
def test_escalated_work_goes_first_by_its_arrival(
    items: list[tuple[list[int], bool]], data: st.DataObject
) -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    for tokens, _ in items:
        queue.put(entry(*tokens))
    parts = [p for _ in range(data.draw(st.integers(0, 3))) if len(queue) for p in queue.take()[0]]
    queue.requeue(data.draw(st.permutations(parts)) if parts else [])
    taken = texts_of(parts)
    waiting = sorted(request.number for request, _ in taken)  # of one request, in any order
    got: Texts = []
    for batch in drain(queue):
        escalated = [text for text in batch if text in taken]
        # New texts go only into the places that the next escalated one is too long for.
        assert batch[: len(escalated)] == escalated
        assert [request.number for request, _ in escalated] == waiting[: len(escalated)]
        assert escalated or not waiting
        waiting = waiting[len(escalated) :]
        got += escalated
    assert sorted(got, key=number) == sorted(taken, key=number)


def escalated(queue: WorkQueue, *requests: PendingRequest) -> None:
    """Have them answered once, and passed on."""
    for request in requests:
        queue.put(request)
    taken = queue.take()[0]
    assert [part.request for part in taken] == list(requests)
    queue.requeue(taken)


def test_an_escalated_text_waits_for_others_while_there_is_new_work_but_not_long() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    escalated(queue, alone := entry(1))
    for _ in range(TURNS):
        queue.put(new := entry(1))
        assert take(queue) == all_of(new)
    queue.put(new := entry(1))
    assert take(queue) == [*all_of(alone), *all_of(new)]


def test_enough_escalated_texts_go_at_once() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    escalated(queue, *(few := [entry(1) for _ in range(ENOUGH)]))
    queue.put(new := entry(1))
    assert take(queue) == [text for request in [*few, new] for text in all_of(request)]


def test_an_escalated_text_goes_at_once_if_nothing_else_does() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    escalated(queue, alone := entry(1))
    queue.put(entry(1, closed=True))
    assert take(queue) == all_of(alone)


def test_an_escalated_text_with_a_deadline_waits_for_nobody() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    hurried = entry(1)
    hurried.decisions.deadline = 1.0
    escalated(queue, hurried)
    queue.put(new := entry(1))
    assert take(queue) == [*all_of(hurried), *all_of(new)]


def test_each_time_that_a_text_is_passed_on_it_may_wait_again() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    escalated(queue, alone := entry(1))
    for _ in range(TURNS):
        queue.put(entry(1))
        queue.take()
    queue.put(entry(1))
    batch, _ = queue.take()
    queue.requeue([part for part in batch if part.request is alone])
    queue.put(new := entry(1))
    assert take(queue) == all_of(new)


def test_a_batch_full_of_escalated_texts_leaves_large_requests_for_the_next() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    for _ in range(TEXTS):
        queue.put(entry(1))
    escalated = queue.take()[0]
    assert len(escalated) == TEXTS
    large = entry(*[1] * LARGE)
    queue.put(large)
    queue.requeue(escalated)
    assert queue.take()[0] == escalated
    assert take(queue) == all_of(large)[:TEXTS]


def test_age_is_that_of_the_oldest_that_a_person_waits_for() -> None:
    now = 10.0
    queue = WorkQueue(BUDGET, TEXTS, clock=lambda: now)
    assert queue.age() == 0
    queue.put(entry(1, arrived=1.0, shadow=True))
    assert queue.age() == 0
    queue.put(entry(1, arrived=8.0))
    assert queue.age() == 2
    older = entry(1, arrived=4.0)
    older.number = 0
    queue.requeue([older.part()])
    assert queue.age() == 6


def test_shadow_texts_go_when_there_is_nothing_else() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    shadow = [entry(1, shadow=True) for _ in range(3)]
    for one in shadow:
        queue.put(one)
    asked = entry(1, 1)
    queue.put(asked)
    assert drain(queue) == [all_of(asked), [(each, 0) for each in shadow]]


def test_a_text_beyond_the_budget_goes_alone() -> None:
    for order in ([BUDGET + 1, 1], [1, BUDGET + 1]):
        queue = WorkQueue(BUDGET, TEXTS)
        queue.put(entry(*order))
        assert [lengths(batch) for batch in drain(queue)] == [[order[0]], [order[1]]]


def test_a_request_larger_than_a_batch_goes_in_its_order() -> None:
    queue = WorkQueue(BUDGET, TEXTS)
    large = entry(*[3] * LARGE)
    queue.put(large)
    batches = drain(queue)
    assert list(map(len, batches)) == [8, 8, 4]
    assert [text for batch in batches for text in batch] == all_of(large)


def test_a_busy_engine_lets_a_batch_fill_until_its_oldest_text_is_old_enough() -> None:
    now = 0.0
    queue = WorkQueue(BUDGET, TEXTS, fill_seconds=0.05, clock=lambda: now)
    queue.put(entry(1, arrived=now))
    assert queue.take() == ([], pytest.approx(0.05))
    now = 0.03
    queue.put(entry(1, arrived=now))
    assert queue.take() == ([], pytest.approx(0.02))
    now = 0.05
    assert len(take(queue)) == 2  # the oldest has waited long enough
    for _ in range(TEXTS):
        queue.put(entry(1, arrived=now))
    assert len(take(queue)) == TEXTS  # full: it does not wait at all


def test_an_idle_engine_takes_at_once_what_comes() -> None:
    queue = WorkQueue(BUDGET, TEXTS, fill_seconds=0.05, clock=lambda: 0.0)
    assert queue.take() == ([], inf)
    first = entry(3)
    queue.put(first)
    batch, again = queue.take()
    assert (texts_of(batch), again) == (all_of(first), inf)


def test_a_closed_queue_gives_what_it_has_and_takes_nothing() -> None:
    queue = WorkQueue(BUDGET, TEXTS, fill_seconds=0.05)
    first = entry(3)
    queue.put(first)
    queue.close()
    with pytest.raises(RuntimeError, match="closed"):
        queue.put(entry(1))
    assert take(queue) == all_of(first)
    assert queue.take() == ([], inf)
