"""What a GPU computes in half precision, on a CPU: rounded once, where the kernels round."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nestling.kernels.emulated import EMULATED
from nestling.kernels.layout import Groups, Layout
from nestling.kernels.linear import ACTIVATIONS, reference
from nestling.kernels.prefix import Prefix
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.trunk import NestedTransformer

from ..conftest import WORDS, tiny_architecture, tiny_model, tiny_students
from .buffers import norm_prefixes, poisoned, prefixes, relative_error

HALVES = (torch.bfloat16, torch.float16)
HEAD_DIM = 8
LAYOUT = Layout((2, 7, 1, 5, 5), (2, 0, 3))
ASKING = Layout((1, 1, 1, 1, 1), (2, 0, 3))
HEADS, DIMS = (7, 2, 1), (23, 23, 9)


def rounds_once(actual: Tensor, exact: Tensor, scale: Tensor | None = None) -> bool:
    """Whether each number is the nearest there is, but for float32's noise.

    scale: of what was summed, where it is more than the result.
    """
    half_a_step = torch.finfo(actual.dtype).eps / 2
    noise = 2e-6 * (exact if scale is None else scale).abs() + torch.finfo(actual.dtype).tiny
    apart = (actual.double() - exact).abs()
    return bool((apart <= half_a_step * exact.abs() + noise).all())


def half(rows: int, columns: int, seed: int, dtype: torch.dtype) -> Tensor:
    return poisoned(rows, columns, seed, dtype)


def each(prefixes: Sequence[Prefix | None], rows: Groups) -> list[tuple[slice, Prefix]]:
    """The groups that compute something."""
    found = [(r, p) for r, p in zip(rows, prefixes, strict=True) if p is not None]
    return [(r, p) for r, p in found if r.stop > r.start]


def exactly(x: Tensor, prefix: Prefix, activation: str = "none") -> tuple[Tensor, Tensor]:
    """One group's linear layer in float64, and the sum of what it adds in magnitude."""
    weight, bias = (t.double() for t in prefix)
    x = x[:, : weight.shape[1]].double()
    return ACTIVATIONS[activation](F.linear(x, weight, bias)), F.linear(
        x.abs(), weight.abs(), bias.abs()
    )


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_linear_layer_rounds_once(activation: str, dtype: torch.dtype) -> None:
    weight, bias = half(40, 33, 1, dtype), half(1, 40, 2, dtype)[0]
    for n, k in (((40,), (33,)), ((40, 0, 16), (33, 0, 20))):
        rows = Groups((0, 9)) if len(n) == 1 else Groups((0, 4, 6, 9))
        x, views = half(9, 33, 3, dtype), prefixes(weight, bias, n, k)
        y = EMULATED.linear(x, views, rows, activation)
        assert y.dtype == dtype
        for r, prefix in each(views, rows):
            exact, scale = exactly(x[r], prefix, activation)
            assert rounds_once(y[r, : len(prefix.weight)], exact, scale)


def test_torch_itself_rounds_more_often() -> None:
    """So the bound above is one that tells the two apart."""
    weight, bias = half(40, 33, 1, torch.bfloat16), half(1, 40, 2, torch.bfloat16)[0]
    x, views = half(9, 33, 3, torch.bfloat16), [Prefix(weight, bias)]
    y = reference.linear(x, views, Groups((0, 9)), "silu")
    assert not rounds_once(y, *exactly(x, Prefix(weight, bias), "silu"))


def test_a_linear_layer_writes_where_it_is_told() -> None:
    weight, bias = half(8, 5, 1, torch.float16), half(1, 8, 2, torch.float16)[0]
    out = torch.full((4, 10), 3.0, dtype=torch.float16)
    views = prefixes(weight, bias, (0, 8), (0, 5))
    y = EMULATED.linear(half(4, 5, 3, torch.float16), views, Groups((0, 2, 4)), out=out)
    assert y is out
    assert (out[:2] == 3).all()
    assert (out[:, 8:] == 3).all()
    assert (out[2:, :8] != 3).all()


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("added", [True, False])
def test_a_norm_rounds_once(centred: bool, added: bool, dtype: torch.dtype) -> None:
    weight, bias = half(1, 33, 1, dtype)[0], half(1, 33, 2, dtype)[0] if centred else None
    x, residual = half(9, 33, 3, dtype), half(9, 33, 4, dtype) if added else None
    rows, views = Groups((0, 4, 6, 9)), norm_prefixes(weight, bias, (33, 0, 20))
    y = EMULATED.norm(x, residual, views, rows, 1e-12)
    assert torch.equal(y[4:6], x[4:6])
    for r, prefix in each(views, rows):
        d = len(prefix.weight)
        total = x[r, :d].double() + (0 if residual is None else residual[r, :d].double())
        scale = prefix.weight.double().abs() * 6 + 1
        if prefix.bias is None:
            exact = F.rms_norm(total, (d,), prefix.weight.double(), 1e-12)
        else:
            exact = F.layer_norm(total, (d,), prefix.weight.double(), prefix.bias.double(), 1e-12)
        assert rounds_once(y[r, :d], exact, scale)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("asking", [LAYOUT, ASKING], ids=["every row", "the first row"])
def test_attention_rounds_its_weights_and_its_result(asking: Layout, dtype: torch.dtype) -> None:
    q = half(asking.starts[-1], 7 * HEAD_DIM, 0, dtype)
    k, v = (half(LAYOUT.starts[-1], 7 * HEAD_DIM, seed, dtype) for seed in (1, 2))
    y = EMULATED.attention(q, k, v, asking, LAYOUT, HEADS, HEAD_DIM)
    assert (y.dtype, y.shape) == (dtype, (len(q), 7 * HEAD_DIM))
    for members, heads in zip(LAYOUT.members, HEADS, strict=True):
        for sequence in range(members.start, members.stop):
            a, s = (slice(*each.starts[sequence : sequence + 2]) for each in (asking, LAYOUT))
            for head in range(heads):
                c = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
                scores = q[a, c].double() @ k[s, c].double().T / HEAD_DIM**0.5
                weights, values = torch.softmax(scores, dim=-1), v[s, c].double()
                exact = weights @ values
                error = torch.finfo(dtype).eps / 2 * (weights @ values.abs() + exact.abs())
                assert ((y[a, c].double() - exact).abs() <= 1.01 * error + 1e-6).all()


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_pooled_attention_rounds_each_step(dtype: torch.dtype) -> None:
    width = HEADS[0] * HEAD_DIM
    q, x = half(5, width, 0, dtype), half(20, 23, 1, dtype)
    key, value = half(width, 23, 2, dtype), half(width, 23, 3, dtype)
    bias, widths = half(1, width, 4, dtype)[0], [h * HEAD_DIM for h in HEADS]
    views = [prefixes(weight, bias, widths, DIMS) for weight in (key, value)]
    y = EMULATED.pooled_attention(q, x, *views, ASKING, LAYOUT, HEAD_DIM)
    assert y.dtype == dtype
    for g, (r, s) in enumerate(zip(ASKING.rows, LAYOUT.rows, strict=True)):
        if LAYOUT.groups[g]:
            k, v = (F.linear(x[s, : DIMS[g]].double(), *map(Tensor.double, each[g]))
                    for each in views)  # fmt: skip
            asked, parts = q[r, : widths[g]].double(), (ASKING.parts[g], LAYOUT.parts[g])
            exact = reference_attention(asked, k, v, *parts, HEADS[g])
            assert relative_error(y[r, : widths[g]], exact) < 4 * torch.finfo(dtype).eps


def reference_attention(
    q: Tensor, k: Tensor, v: Tensor, asking: Layout, offering: Layout, heads: int
) -> Tensor:
    from nestling.kernels.attention import attention

    return attention(q, k, v, asking, offering, (heads,), HEAD_DIM)


@torch.inference_mode()
def test_a_model_answers_alike_alone_and_among_others() -> None:
    model = NestedTransformer(tiny_architecture(), EMULATED)
    model.load_state_dict(tiny_model().state_dict())
    model = model.to(torch.bfloat16).requires_grad_(False).eval()
    generator = torch.Generator().manual_seed(0)
    texts = [
        torch.randint(len(WORDS), (length,), generator=generator).tolist()
        for length in (3, 17, 9, 4)
    ]
    students = tiny_students()
    groups = [(texts[:1], students["small"]), (texts[1:], students["tiny"])]
    together = model(PackedBatch.mixed(groups))
    asked = [("small", texts[0]), *(("tiny", text) for text in texts[1:])]
    alone = torch.cat([model(PackedBatch.of([text], students[name])) for name, text in asked])
    assert together.dtype == torch.bfloat16
    assert relative_error(together, alone) < torch.finfo(torch.bfloat16).eps
    exact = tiny_model()(PackedBatch.mixed(groups))
    assert relative_error(together, exact) < 0.05
