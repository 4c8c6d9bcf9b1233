from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nestling.models import StudentSpec
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.spec import Flops

from ...conftest import pair_architecture, tiny_architecture, tiny_model

A = tiny_architecture()


@st.composite
def specs(draw: st.DrawFn, narrowest: int = 1) -> StudentSpec:
    """Any valid student of the small TA, from a least model dimension on."""
    layers = tuple(sorted(draw(st.sets(st.integers(0, A.layers - 1), min_size=1))))
    count = len(layers)
    widths = {"min_size": count, "max_size": count}
    heads = draw(st.lists(st.integers(1, A.attention_heads), **widths))
    ffn = draw(st.lists(st.integers(1, A.ffn), **widths))
    return StudentSpec(layers, draw(st.integers(narrowest, A.dim)), tuple(heads), tuple(ffn))


VALID = StudentSpec(layers=(0, 3), dim=32, attention_heads=(2, 4), ffn=(16, 64))
INVALID = {
    "layers: a student needs at least one layer": {"layers": ()},
    "layers: [3, 0] is not strictly increasing": {"layers": (3, 0)},
    "layers: [3, 3] is not strictly increasing": {"layers": (3, 3)},
    "layers: 4 is outside 0 to 3": {"layers": (0, 4)},
    "layers: -1 is outside 0 to 3": {"layers": (-1, 3)},
    "dim: 33 is outside 1 to 32": {"dim": 33},
    "dim: 0 is outside 1 to 32": {"dim": 0},
    "attention_heads: 1 widths for 2 layers; one each": {"attention_heads": (2,)},
    "attention_heads: 5 is outside 1 to 4": {"attention_heads": (2, 5)},
    "ffn: 3 widths for 2 layers; one each": {"ffn": (16, 64, 64)},
    "ffn: 65 is outside 1 to 64": {"ffn": (65, 16)},
}


@pytest.mark.parametrize("message", INVALID)
def test_says_field_value_and_limit(message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        replace(VALID, **INVALID[message]).validate(A)


@given(specs())
def test_valid_specs_survive_json(spec: StudentSpec) -> None:
    assert spec.validate(A) is spec
    assert StudentSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ffn": None}, "layers, attention_heads, ffn: expected lists of whole numbers"),
        ({"dim": "32"}, "dim: ['32'] holds something else than whole numbers"),
        (
            {"attention_heads": [2, 4.5]},
            "attention_heads: [2, 4.5] holds something else than whole numbers",
        ),
        ({"layers": [True, 3]}, "layers: [True, 3] holds something else than whole numbers"),
    ],
)
def test_refuses_other_json(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        StudentSpec.from_json(VALID.to_json() | change)


def test_names_a_missing_field() -> None:
    with pytest.raises(ValueError, match=r"^dim: missing$"):
        StudentSpec.from_json({"layers": [0], "attention_heads": [1], "ffn": [1]})


@settings(deadline=None, max_examples=25)
@given(specs(narrowest=2), st.integers(2, A.max_tokens))
def test_flops_are_what_torch_counts(spec: StudentSpec, length: int) -> None:
    """Torch counts matrix products; those with a side of 1 it may do, and count, otherwise.

    Of attention it counts the plain form.
    """
    spec = replace(spec, attention_heads=tuple(max(2, h) for h in spec.attention_heads))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        tiny_model()(PackedBatch.of([[4] * length] * 2, spec))
    assert counter.get_total_flops() == pytest.approx(2 * spec.flops(A).of(length), rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(specs(narrowest=6))
def test_parameters_are_what_a_forward_reads(spec: StudentSpec) -> None:
    """A number is read if the output depends on it: its gradient is not zero."""
    model = tiny_model().requires_grad_(True)
    ids = torch.arange(A.max_tokens) % A.vocabulary
    batch = PackedBatch.of([ids.tolist(), ids.flip(0).tolist()], spec)
    weight = torch.randn(2, len(A.head().labels), generator=torch.Generator().manual_seed(0))
    (model(batch) * weight).sum().backward()
    read = sum(
        int((p.grad != 0).sum())
        for name, p in model.named_parameters()
        if p.grad is not None and not name.endswith("key.bias")
    )
    # A key's bias adds the same to all scores of a query: it is stored, and changes nothing.
    keys = sum(h * A.head_dim for h in spec.attention_heads)
    assert spec.parameters(A) - keys == read


@pytest.mark.parametrize("a", [A, pair_architecture()], ids=["texts", "pairs"])
def test_the_whole_ta_counts_every_parameter(a: Architecture) -> None:
    stored = sum(p.numel() for p in tiny_model(architecture=a).parameters())
    assert StudentSpec.full(a).validate(a).parameters(a) == stored


def test_flops_of_many_texts() -> None:
    flops = Flops(5, 3, 2)
    assert flops.of(4) == 5 + 12 + 32
    assert flops.total([4, 1]) == 49 + 10
