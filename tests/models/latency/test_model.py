"""What a model of a machine says of students that it has not seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nestling.models import Checkpoint, NestlingError
from nestling.models.latency.model import LatencyModel, TimedBatch
from nestling.models.latency.timing import drawn, time_students, with_drawn
from nestling.models.latency.work import BatchWork
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.spec import StudentSpec
from nestling.models.runners.torch import TorchRunner

from ...conftest import tiny_architecture

SIZES = ((1, 17), (32, 9), (32, 17))
SPEEDS = BatchWork(2e-4, 3e-4, 1e-10, 3e-11, 2e-11, 1e-10, 2e-11, 3e-10, 1e-9, 2e-9, 1e-5)


def machine(spec: StudentSpec, a: Architecture, texts: int, tokens: int) -> float:
    """Seconds of a machine that is exactly as the model takes it."""
    work = BatchWork.of(spec, a, texts, tokens)
    return sum(speed * amount for speed, amount in zip(SPEEDS, work, strict=True))


def large() -> Architecture:
    """Of the shipped checkpoint's size, where every kind of work counts."""
    sizes = {"dim": 384, "layers": 6, "attention_heads": 12, "head_dim": 32, "ffn": 1536}
    return replace(tiny_architecture(), **sizes)


def timed(a: Architecture, specs: list[StudentSpec]) -> list[TimedBatch]:
    return [TimedBatch(s, n, k, machine(s, a, n, k)) for s in specs for n, k in SIZES]


def test_it_is_right_of_students_that_were_not_timed() -> None:
    a = large()
    model = LatencyModel.fitted(a, timed(a, [StudentSpec.full(a), *drawn(a)]))
    for spec in drawn(a, 30, seed=1):
        for texts, tokens in SIZES:
            expected = machine(spec, a, texts, tokens)
            assert model.seconds(spec, texts, tokens) == pytest.approx(expected, rel=0.02)
        assert model.per_text(spec, [9, 17, 9])[0] == model.seconds(spec, 32, 9) / 32


def test_one_disturbed_measurement_leaves_it_cold() -> None:
    a = large()
    every = timed(a, [StudentSpec.full(a), *drawn(a)])
    disturbed = [TimedBatch(every[0].student, 1, 9, 5 * every[0].seconds), *every[1:]]
    model = LatencyModel.fitted(a, disturbed)
    for spec in drawn(a, 10, seed=1):
        assert model.seconds(spec, 32, 17) == pytest.approx(machine(spec, a, 32, 17), rel=0.05)


def test_too_few_students_are_refused() -> None:
    a = large()
    with pytest.raises(NestlingError, match="3 students were timed; it takes 4"):
        LatencyModel.fitted(a, timed(a, drawn(a, 3)))


def test_flops_are_those_of_the_spec() -> None:
    a = large()
    for spec in drawn(a):
        work = BatchWork.of(spec, a, 3, 11)
        flops = work.attention_flops + work.ffn_flops + work.pair_flops + work.last_flops
        of_keys = 2 * work.pooled  # a multiply-add of keys, another of values
        assert flops + of_keys == pytest.approx(3 * spec.flops(a).of(11))


def test_students_are_timed_that_the_checkpoint_does_not_have(checkpoint: Checkpoint) -> None:
    a = checkpoint.architecture
    everyone = with_drawn(checkpoint, drawn(a, 3))
    assert len(everyone.students) == len(checkpoint.students) + 3
    assert isinstance(everyone, Checkpoint)
    found = time_students(TorchRunner(everyone), [5, 6, 9, 9], threads=1)
    assert len(found) == 3 * len(everyone.students)
    assert all(each.seconds > 0 for each in found)
    assert {(each.texts, each.tokens) for each in found} == {(1, 9), (32, 6), (32, 9)}
    assert LatencyModel.fitted(a, found).seconds(StudentSpec.full(a), 1, 7) > 0
