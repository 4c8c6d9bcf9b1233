"""The shipped checkpoint, its students mixed in one batch, on the Triton kernels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nestling.kernels.attention import attention, varlen
from nestling.kernels.layout import Layout
from nestling.kernels.operations import triton_operations
from nestling.models import Checkpoint
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.trunk import NestedTransformer

from ...kernels.buffers import poisoned, relative_error
from ..test_zoo import TEXTS, shipped


def on_kernels(checkpoint: Checkpoint) -> NestedTransformer:
    """The same weights, not copied, computed by Triton."""
    with torch.device("meta"):
        model = NestedTransformer(checkpoint.architecture, triton_operations())
    model.load_state_dict(checkpoint.model.state_dict(), assign=True)
    return model.requires_grad_(False).eval()


@pytest.mark.slow
@torch.inference_mode()
def test_mixed_students_answer_as_by_the_reference() -> None:
    checkpoint = shipped()
    ids = checkpoint.tokenizer.encode(TEXTS[:6])
    tiny, small, medium, ta = (s.spec for s in checkpoint.students.values())
    batch = PackedBatch.mixed(
        [(ids[:2], medium), ([], small), (ids[2:5], tiny), (ids[5:], ta), (ids[:1], small)]
    )
    model = on_kernels(checkpoint)
    assert model.embedding.tokens.data_ptr() == checkpoint.model.embedding.tokens.data_ptr()
    logits, expected = model(batch), checkpoint.model(batch)
    assert relative_error(logits, expected) < 1e-5
    assert torch.equal(logits.argmax(-1), expected.argmax(-1))


def test_varlen_attention_gets_each_group_and_its_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel needs a GPU; what it is asked for does not."""

    def exact(
        q: Tensor, k: Tensor, v: Tensor, q_starts: Tensor, k_starts: Tensor, *longest: int
    ) -> Tensor:
        assert q_starts.dtype == k_starts.dtype == torch.int32
        y = torch.empty_like(q)
        bounds = zip(q_starts[:-1], q_starts[1:], k_starts[:-1], k_starts[1:], strict=True)
        for a, b, c, d in bounds:
            assert b - a <= longest[0]
            assert d - c <= longest[1]
            scores = torch.einsum("qhd,khd->hqk", q[a:b].double(), k[c:d].double())
            weights = torch.softmax(scores / q.shape[-1] ** 0.5, dim=-1)
            y[a:b] = torch.einsum("hqk,khd->qhd", weights, v[c:d].double()).to(y.dtype)
        return y

    monkeypatch.setattr(varlen, "varlen_attn", exact)
    keys = Layout((2, 7, 1, 5, 5), (2, 0, 3))
    queries = Layout((2, 7, 1, 1, 1), (2, 0, 3))
    q = poisoned(12, 56, 0, torch.bfloat16)
    k, v = (poisoned(20, 56, seed, torch.bfloat16) for seed in (1, 2))
    arguments: tuple[Any, ...] = (queries, keys, (7, 2, 1), 8)
    y = varlen.attention(q, k, v, *arguments)
    expected = attention(q.float(), k.float(), v.float(), *arguments)
    for rows, heads in zip(queries.rows, (7, 2, 1), strict=True):
        if rows.stop > rows.start:
            assert relative_error(y[rows, : heads * 8], expected[rows, : heads * 8]) < 6e-3
