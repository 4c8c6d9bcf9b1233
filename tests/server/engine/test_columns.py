"""The texts of a request as columns: what is known of them, and one text of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import inf

import numpy as np
import pytest

from nestling.models import Checkpoint, Decision, Predictor
from nestling.models.cascade.columns import Decisions
from nestling.models.cascade.decisions import Limit
from nestling.models.cascade.parts import StagePart
from nestling.models.runners.base import ForwardBatch, ForwardOutput
from nestling.models.runners.scheduled import ScheduledBatch, decide, step
from nestling.models.runners.torch import TorchRunner


@pytest.fixture(scope="module")
def runner(calibrated: Checkpoint) -> TorchRunner:
    return TorchRunner(calibrated)


def answered(checkpoint: Checkpoint, runner: TorchRunner, texts: list[str], size: int) -> Decisions:
    """In batches of so many texts, whatever stage they are at; what was passed on comes first."""
    decisions = decide(checkpoint, checkpoint.policy(), checkpoint.tokenizer.encode(texts))
    rows = range(len(decisions))
    waiting: list[StagePart] = [
        StagePart.of(decisions).only(rows[at : at + size]) for at in rows[::size]
    ]
    while waiting:
        taken, waiting = waiting[:2], waiting[2:]
        waiting = [*step(runner.forward, taken), *waiting]
    return decisions


@pytest.mark.parametrize("size", [1, 7, 100])
def test_columns_and_decisions_say_the_same(
    calibrated: Checkpoint, runner: TorchRunner, texts: list[str], size: int
) -> None:
    decisions = answered(calibrated, runner, texts[:40], size)
    told, each = decisions.told, list(decisions)
    assert {len(decision.steps) for decision in each} == {1, 2, 3}
    assert [decisions[row] for row in range(40)] == each == decisions[:]
    assert [stage.student.name for stage in told.stages] == [path[-1] for path in told.paths]
    assert told.paths == [[s.stage.student.name for s in d.steps] for d in each]
    assert told.labels == [decision.answer.label for decision in each]
    assert told.confidences == [decision.answer.confidence for decision in each]
    assert told.flops == [decision.flops for decision in each]
    assert told.costs == [decision.relative_cost for decision in each]
    assert told.seconds == pytest.approx([decision.seconds for decision in each])
    assert told.device_seconds == pytest.approx(sum(decision.seconds for decision in each))
    assert not any(told.abstained)
    assert all(decision.answered for decision in each)
    for row, decision in zip(decisions.logits, each, strict=True):
        assert decision.logits is not None
        assert np.array_equal(row, decision.logits)
        assert row.argmax() == decision.answer.label
    whole = Predictor(calibrated, runner=runner).predict(texts[:40])
    assert [d.answer.label for d in whole] == told.labels
    assert [d.flops for d in whole] == told.flops


def test_a_kept_text_costs_nothing_and_holds_no_batch(
    calibrated: Checkpoint, runner: TorchRunner, texts: list[str]
) -> None:
    decisions = answered(calibrated, runner, texts[:20], 20)
    longest = max(range(20), key=lambda row: len(decisions[row].steps))
    before, kept = decisions[longest], decisions.kept(longest)
    [after] = kept
    assert (after.cached, after.flops, after.seconds, after.waited, after.ran) == (True, 0, 0, 0, 0)
    assert after.tokens == before.tokens
    steps = [(s.stage, s.label, s.confidence, s.accepted, s.threshold) for s in before.steps]
    assert [(s.stage, s.label, s.confidence, s.accepted, s.threshold) for s in after.steps] == steps
    assert (kept.told.costs, kept.told.paths) == ([0.0], [decisions.told.paths[longest]])
    assert all(len(each.labels) == 1 and each.logits.base is None for each in kept.steps)
    assert not decisions.cached


def test_what_stands_by_now(calibrated: Checkpoint, runner: TorchRunner, texts: list[str]) -> None:
    decisions = decide(calibrated, calibrated.policy(), calibrated.tokenizer.encode(texts[:20]))
    left = step(runner.forward, [StagePart.of(decisions).only(range(15))])
    untold, unsure = decisions.by_now()
    assert untold == [15, 16, 17, 18, 19]
    assert unsure == [row for part in left for row in part.rows]
    assert 0 < len(unsure) < 15
    assert len(decisions[unsure[0]].steps) == 1
    taken = decisions.as_they_stand()
    taken.stop(unsure, Limit.DEADLINE)
    step(runner.forward, left)
    assert [row for row in range(15) if taken[row].limited_by] == unsure
    assert all(taken[row].answered and len(taken[row].steps) == 1 for row in range(15))
    assert decisions.limits == {}
    assert len(decisions[unsure[0]].steps) == 2  # though it has been looked at before
    assert not decisions[19].steps


def test_what_is_said_of_a_text_is_looked_up_once(
    calibrated: Checkpoint, runner: TorchRunner, texts: list[str]
) -> None:
    decisions, walks = answered(calibrated, runner, texts[:20], 20), 0

    class Rows(list[int]):
        def __iter__(self) -> Iterator[int]:
            nonlocal walks
            walks += 1
            return super().__iter__()

        __contains__ = index = None  # type: ignore[assignment]

    for said in decisions.steps:
        said.rows = Rows(said.rows)
    each = [decisions[row] for row in range(20)]
    assert each == list(decisions)
    assert [decisions.kept(row)[0].answer.label for row in range(20)] == decisions.told.labels
    assert decisions[-1] == each[-1]
    assert walks <= 10 * len(decisions.steps)


def test_a_part_is_cut_at_any_text(calibrated: Checkpoint) -> None:
    requests = [
        decide(calibrated, calibrated.policy(name), [[2, 5, 3]] * texts)
        for name, texts in (("tiny", 3), ("ta", 1), ("auto", 4))
    ]
    batch = ScheduledBatch.of([StagePart.of(request) for request in requests])
    assert batch.students == ["ta", "tiny"]
    halves = batch.halves()
    assert [sum(map(len, half)) for half in halves] == [4, 4]
    rows = [(part.decisions, row) for half in halves for part in half for row in part.rows]
    assert rows == [(part.decisions, row) for part in batch.parts for row in part.rows]


def test_each_text_has_its_share_and_its_rule(calibrated: Checkpoint, runner: TorchRunner) -> None:
    strict = Decisions(
        calibrated.policy(), [[2, 5, 3], [2, 5, 6, 3]], calibrated.ta.flops_by_length, 0.9
    )
    alone = decide(calibrated, calibrated.policy("ta"), [[2, 6, 3]])
    asked: list[ForwardBatch] = []

    def forward(batch: ForwardBatch) -> ForwardOutput:
        asked.append(batch)
        return runner.forward(batch)

    step(forward, [StagePart.of(strict), StagePart.of(alone)])
    [batch] = asked
    assert batch.runs == [("ta", 1), ("tiny", 2)]
    assert batch.sequences == [[2, 6, 3], [2, 5, 3], [2, 5, 6, 3]]
    assert batch.lengths.tolist() == [3, 3, 4]
    least = max(0.9, calibrated.policy().stages[0].threshold)
    assert batch.thresholds.tolist() == pytest.approx([0, least, least])
    shares = [*alone.told.seconds, *strict.steps[0].seconds]
    flops = [*alone.told.flops, *strict.steps[0].flops]
    assert all(b / a == pytest.approx(y / x) for (a, b), (x, y) in zip(
        pairwise(shares), pairwise(flops), strict=True
    ))  # fmt: skip
    assert strict.max_cost == inf


def test_a_decision_says_what_a_row_does(calibrated: Checkpoint, runner: TorchRunner) -> None:
    [decision] = answered(calibrated, runner, ["play some music"], 1)
    assert isinstance(decision, Decision)
    assert decision.answer is decision.steps[-1]
    assert decision.tokens == calibrated.tokenizer.encode(["play some music"])[0]
