"""Students inside one TA: storage, memory, neighbours in the batch, order of the weights, bf16."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling.models import Cascade, Checkpoint, Predictor, Stage, StudentSpec, load_checkpoint
from nestling.models.cascade.parts import StagePart
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.runners.scheduled import decide, step
from nestling.models.runners.torch import TorchRunner
from nestling.models.training.permutation import Order, permute

from ...conftest import WORDS, tiny_architecture, tiny_model
from ...kernels.buffers import relative_error
from .test_spec import specs

A = tiny_architecture()
MODEL = tiny_model()
SENTENCES = [
    " ".join(random.Random(seed).choices(WORDS[4:], k=1 + seed % 23)) for seed in range(30)
]


def sequences(lengths: list[int]) -> list[list[int]]:
    generator = torch.Generator().manual_seed(sum(lengths))
    return [torch.randint(4, len(WORDS), (n,), generator=generator).tolist() for n in lengths]


@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.tuples(specs(), st.lists(st.integers(1, 40), max_size=3)), min_size=1, max_size=4)
)
def test_alone_equals_batched(groups: list[tuple[StudentSpec, list[int]]]) -> None:
    filled = [(sequences(lengths), spec) for spec, lengths in groups if lengths]
    if not filled:
        return
    mixed = MODEL(PackedBatch.mixed(filled)).split([len(s) for s, _ in filled])
    for (texts, spec), rows in zip(filled, mixed, strict=True):
        for text, row in zip(texts, rows, strict=True):
            assert relative_error(row, MODEL(PackedBatch.of([text], spec))[0]) < 1e-5


def cascade_of(checkpoint: Checkpoint) -> Cascade:
    """Thresholds at which every stage answers some of SENTENCES."""
    stages, waiting = [], list(SENTENCES)
    for name in ("tiny", "small"):
        decisions = Predictor(checkpoint, name).predict(waiting)
        threshold = sorted(d.answer.confidence for d in decisions)[len(waiting) // 2] - 2e-3
        stages.append(Stage(checkpoint.students[name], threshold))
        waiting = [
            text for text, d in zip(waiting, decisions, strict=True)
            if d.answer.confidence < threshold
        ]  # fmt: skip
    return Cascade("three", (*stages, Stage(checkpoint.ta, 0.0)))


def test_answers_and_routes_do_not_depend_on_neighbours(checkpoint: Checkpoint) -> None:
    cascade = cascade_of(checkpoint)
    predictor = Predictor(checkpoint)
    predictor.cascade = cascade
    together = predictor.predict(SENTENCES)
    assert {len(d.steps) for d in together} == {1, 2, 3}
    for text, batched in zip(SENTENCES, together, strict=True):
        (alone,) = predictor.predict([text])
        assert [s.stage for s in alone.steps] == [s.stage for s in batched.steps]
        assert alone.answer.label == batched.answer.label
        assert alone.answer.confidence == pytest.approx(batched.answer.confidence, abs=1e-5)


def test_a_batch_may_mix_stages(checkpoint: Checkpoint) -> None:
    cascade = cascade_of(checkpoint)
    ids = checkpoint.tokenizer.encode(SENTENCES[:9])
    forward = TorchRunner(checkpoint).forward
    mixed = decide(checkpoint, cascade, ids)
    whole = StagePart.of(mixed)
    waiting = step(forward, [whole.only(range(4))])
    arrived = [whole.only([row]) for row in range(4, 9)]
    while waiting or arrived:
        waiting, arrived = step(forward, [*waiting, *arrived[:2]]), arrived[2:]
    for tokens, decision in zip(ids, mixed, strict=True):
        alone = decide(checkpoint, cascade, [tokens])
        waiting = [StagePart.of(alone)]
        while waiting:
            waiting = step(forward, waiting)
        assert [s.stage for s in alone[0].steps] == [s.stage for s in decision.steps]
        assert alone[0].answer.label == decision.answer.label


def test_permutation_leaves_the_whole_output(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)

    def shuffled(n: int) -> torch.Tensor:
        return torch.randperm(n, generator=generator)

    order = Order(
        shuffled(A.dim),
        {"label": shuffled(A.dim)},
        tuple(shuffled(A.attention_heads) for _ in range(A.layers)),
        tuple(shuffled(A.ffn) for _ in range(A.layers)),
    )
    before, after = tiny_model(), NestedTransformer(A)
    after.load_state_dict(permute(before.state_dict(), order, A))
    texts, whole = sequences([5, 40, 1]), StudentSpec.full(A)
    with torch.inference_mode():
        batch = PackedBatch.of(texts, whole)
        assert relative_error(after(batch), before(batch)) < 1e-5
        narrow = batch.for_student(StudentSpec((0, 2), 9, (1, 2), (8, 8)))
        assert relative_error(after(narrow), before(narrow)) > 1e-2


def test_no_student_owns_storage(checkpoint: Checkpoint) -> None:
    """A forward allocates activations only: no tensor as large as the weights it reads."""
    stored = {p.untyped_storage().data_ptr() for p in checkpoint.model.parameters()}
    assert len(stored) == len(list(checkpoint.model.parameters()))
    for student in checkpoint.students.values():
        assert not [v for v in vars(student).values() if isinstance(v, torch.Tensor)]
    before = [p.untyped_storage().data_ptr() for p in checkpoint.model.parameters()]
    for name in checkpoint.students:
        Predictor(checkpoint, name).predict(SENTENCES)
    assert before == [p.untyped_storage().data_ptr() for p in checkpoint.model.parameters()]


MEMORY = """
import psutil, torch, sys
from dataclasses import replace
from nestling.models import StudentSpec
from nestling.models.nested.batch import PackedBatch
from nestling.models.cascade.policy import Student
from nestling.models.nested.trunk import NestedTransformer
from tests.conftest import tiny_architecture

torch.set_num_threads(1)
a = replace(
    tiny_architecture(), vocabulary=20000, dim=512, attention_heads=8, head_dim=64, ffn=2048,
    layers=8,
)
model = NestedTransformer(a).requires_grad_(False)
specs = [StudentSpec(tuple(range(n)), 64 * n, (n,) * n, (256 * n,) * n) for n in range(1, 9)]
def rss(): return psutil.Process().memory_info().rss
def ask(specs):
    students = [Student.of(str(i), spec, a) for i, spec in enumerate(specs)]
    with torch.inference_mode():
        for s in students:
            model(PackedBatch.of([[5] * 8], s.spec))
    return students
one = ask(specs[-1:]); alone = rss()
eight = ask(specs); together = rss()
print(together - alone, 4 * sum(p.numel() for p in model.parameters()))
"""


def test_eight_students_take_the_memory_of_one() -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    more, weights = map(int, run.stdout.split())
    assert weights > 120e6
    assert more < 0.1 * weights


def test_bf16_runs_and_agrees_roughly(checkpoint_dir: Path) -> None:
    full, half = load_checkpoint(checkpoint_dir), load_checkpoint(checkpoint_dir, torch.bfloat16)
    assert {p.dtype for p in half.model.parameters()} == {torch.bfloat16}
    ids = full.tokenizer.encode(SENTENCES)
    for student in full.students.values():
        batch = PackedBatch.of(ids, student.spec)
        logits = half.model(batch)
        assert logits.dtype == torch.bfloat16
        assert relative_error(logits, full.model(batch)) < 5e-2
    decisions = Predictor(half, "small").predict(SENTENCES)
    assert all(0 < d.answer.confidence <= 1 for d in decisions)


def test_a_text_that_is_too_long_is_named(checkpoint: Checkpoint) -> None:
    from nestling.models import NestlingError

    long = " ".join(["play"] * 39)
    with pytest.raises(NestlingError, match="text 1: 41 tokens; the limit is 40"):
        Predictor(checkpoint, "tiny").predict(["play", long])


def test_an_unknown_policy_lists_the_known(checkpoint: Checkpoint) -> None:
    from nestling.models import NestlingError

    with pytest.raises(NestlingError, match=r"model: 'huge' is none of auto, tiny, small, ta"):
        Predictor(checkpoint, "huge")


def test_a_decision_adds_up_all_stages(checkpoint: Checkpoint) -> None:
    predictor = Predictor(checkpoint)
    predictor.cascade = cascade_of(checkpoint)
    for decision in predictor.predict(SENTENCES):
        asked = [s.stage.student.flops.of(len(decision.tokens)) for s in decision.steps]
        assert decision.flops == sum(asked)
        assert decision.relative_cost == pytest.approx(
            sum(asked) / checkpoint.ta.flops.of(len(decision.tokens))
        )
        assert decision.seconds > 0
        assert [s.accepted for s in decision.steps] == [False] * (len(asked) - 1) + [True]
