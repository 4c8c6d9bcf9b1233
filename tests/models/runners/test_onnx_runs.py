"""Groups are cut into runs that fit the cache, and every sequence keeps its answer."""

from __future__ import annotations

import numpy as np
import pytest

from nestling.models.nested.spec import StudentSpec
from nestling.models.runners.onnx.runs import MOST_PADDING, padded, places_at_once, runs

from ...conftest import tiny_architecture

GROUPS = {
    "one": [7],
    "longer than a run": [900],
    "alike": [11] * 40,
    "one long": [3] * 20 + [200] + [4] * 20,
    "all lengths": list(range(1, 120)),
    "drawn": np.random.default_rng(0).integers(1, 60, 256).tolist(),
}
MOST = 256


@pytest.mark.parametrize("lengths", GROUPS.values(), ids=GROUPS)
def test_every_sequence_is_in_one_run_that_fits(lengths: list[int]) -> None:
    given = np.array(lengths)
    found = runs(given, MOST)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    for places in found:
        padded_to = len(places) * given[places].max()
        assert len(places) == 1 or padded_to <= MOST
        assert padded_to <= MOST_PADDING * given[places].sum()


def test_what_fits_stays_together_in_order() -> None:
    (places,) = runs(np.array([9, 12, 8, 16]), MOST)
    assert places.tolist() == [0, 1, 2, 3]


def test_no_more_runs_than_it_takes() -> None:
    given = np.array(GROUPS["drawn"])
    assert len(runs(given, MOST)) <= 1.2 * given.sum() / MOST + 1


@pytest.mark.parametrize("lengths", GROUPS.values(), ids=GROUPS)
def test_inputs_are_the_tokens_and_where_they_are(lengths: list[int]) -> None:
    given = np.array(lengths)
    tokens = np.arange(given.sum())
    sequences = np.split(tokens, np.cumsum(given)[:-1])
    for places, inputs in padded(tokens, given, MOST):
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        assert ids.shape == mask.shape == (len(places), given[places].max())
        assert ids.max() < len(tokens)
        for place, row, present in zip(places, ids, mask, strict=True):
            assert present.tolist() == [1] * given[place] + [0] * (len(row) - given[place])
            np.testing.assert_array_equal(row[: given[place]], sequences[place])


def test_wider_students_have_smaller_runs() -> None:
    """What counts is the widest layer before the last one, which has one token of each text."""
    a = tiny_architecture()
    narrow = StudentSpec(layers=(3,), dim=a.dim, attention_heads=(a.attention_heads,), ffn=(a.ffn,))
    sizes = [places_at_once(spec, a) for spec in (narrow, StudentSpec.full(a))]
    assert sizes == [
        2**20 // (4 * a.dim),
        2**20 // (4 * max(a.ffn, 3 * a.attention_heads * a.head_dim)),
    ]
