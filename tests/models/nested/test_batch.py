"""A batch is checked once, before its first operation, and a student's views are made once."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from nestling.kernels.layout import Layout
from nestling.kernels.operations import REFERENCE, Operations, triton_operations
from nestling.models import Checkpoint, StudentSpec
from nestling.models.cascade.policy import Stage
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.runners.base import ForwardBatch
from nestling.models.runners.torch import TorchRunner

from ...conftest import tiny_architecture, tiny_model

A = tiny_architecture()
FULL = StudentSpec.full(A)
GOOD = PackedBatch.mixed([([[5, 6, 7], [5]], FULL), ([[8]], replace(FULL, dim=9))])


@pytest.mark.parametrize("operations", [REFERENCE, triton_operations()], ids=["torch", "triton"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"students": (FULL,)}, "students: 1 for 2 groups; one each"),
        ({"students": (FULL, replace(FULL, dim=A.dim + 1))}, "dim: 33 is outside 1 to 32"),
        (
            {"students": (FULL, replace(FULL, attention_heads=(1, 1, 1, 9)))},
            "attention_heads: 9 is outside 1 to 4",
        ),
        ({"students": (FULL, replace(FULL, ffn=(0, 1, 1, 1)))}, "ffn: 0 is outside 1 to 64"),
        ({"students": (FULL, StudentSpec((4,), 9, (1,), (1,)))}, "layers: 4 is outside 0 to 3"),
        ({"tokens": torch.zeros(4, dtype=torch.int64)}, "tokens: 4, but the sequences have 5"),
        (
            {"layout": Layout((3, 41), (1, 1)), "tokens": torch.zeros(44, dtype=torch.int64)},
            "sequence 1: 41 tokens; the limit is 40",
        ),
    ],
)
def test_a_wrong_batch_is_refused_before_any_operation(
    operations: Operations, wrong: dict[str, Any], message: str
) -> None:
    model = NestedTransformer(A, operations)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        model(replace(GOOD, **wrong))


def test_a_sequence_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="sequence 1 has no tokens"):
        PackedBatch.of([[5], []], FULL)


def test_a_runner_makes_no_views_while_it_answers(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = TorchRunner(checkpoint)
    batch = ForwardBatch.of([[5, 6], [7]], Stage(checkpoint.ta, 0.0))
    expected = runner.forward(batch)

    def refuse(*_: object) -> None:
        raise AssertionError("a view was made")

    monkeypatch.setattr(NestedTransformer, "student", refuse)
    again = runner.forward(batch)
    assert again.labels.tolist() == expected.labels.tolist()
    assert (again.logits == expected.logits).all()


def test_views_are_the_weights_themselves() -> None:
    model = tiny_model()
    student = model.student(replace(FULL, dim=9))
    block = student.blocks[0]
    assert block.query.weight.data_ptr() == model.block(0).query.weight.data_ptr()
    assert student.embedding.tokens.untyped_storage().data_ptr() == (
        model.embedding.tokens.untyped_storage().data_ptr()
    )


def test_the_state_has_the_names_of_a_checkpoint() -> None:
    model = tiny_model()
    state = model.state_dict()
    assert {name.split(".")[0] for name in state} == {
        "tokens", "positions", "segment", "embedding_norm", "layers", "heads",
    }  # fmt: skip
    again = NestedTransformer(A)
    again.load_state_dict(state)
    assert all(torch.equal(again.state_dict()[name], state[name]) for name in state)
    held = torch.nn.Sequential(again)
    held.load_state_dict(held.state_dict())
    assert "0.tokens" in held.state_dict()
