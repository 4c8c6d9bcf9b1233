"""Every student that a search may ask is one that the TA has."""

from __future__ import annotations

import numpy as np

from nestling.models import StudentSpec
from nestling.models.search.space import SearchSpace

from ...conftest import tiny_architecture, tiny_students


def space() -> SearchSpace:
    return SearchSpace.of(tiny_architecture(), tiny_students().values())


def test_a_neighbour_fits_in_the_ta_and_is_not_far() -> None:
    rng, own, spec = np.random.default_rng(0), space(), StudentSpec.full(tiny_architecture())
    seen = set()
    for _ in range(500):
        before, spec = spec, own.changed(spec, rng).validate(tiny_architecture())
        assert len(set(before.layers) ^ set(spec.layers)) <= 4
        seen.add(spec)
    assert {len(each.layers) for each in seen} == {1, 2, 3, 4}
    assert {each.dim for each in seen} == set(own.dims)
    assert {width for each in seen for width in each.attention_heads} == set(own.attention_heads)
    assert {width for each in seen for width in each.ffn} == set(own.ffn)


def test_widths_that_were_trained_are_among_those_that_are_tried() -> None:
    a = tiny_architecture()
    odd = StudentSpec((3,), 7, (3,), (13,))
    own = SearchSpace.of(a, [odd])
    assert 7 in own.dims
    assert 3 in own.attention_heads
    assert 13 in own.ffn
    assert min(SearchSpace.of(a, []).dims) == a.dim // 2
    assert max(own.dims) == a.dim


def test_gradual_students_widen_up_to_the_last_layer() -> None:
    a = tiny_architecture()
    found = space().gradual()
    assert {len(each.layers) for each in found} == {1, 2, 3}
    for each in found:
        each.validate(a)
        assert each.layers[-1] == a.layers - 1
        assert list(each.ffn) == sorted(each.ffn)
        assert each.ffn[-1] == a.ffn
