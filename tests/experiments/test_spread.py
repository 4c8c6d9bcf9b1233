"""Ten million units: as many in each variant as the weights say, and nothing shared by layers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2, chi2_contingency

from nestling.experiments.assignment import Assigner, spread
from nestling.experiments.definition import BUCKETS

from .declared import parsed

MILLIONS = 10
UNLIKELY = 1e-4
"""The units are always the same, so that these tests pass or fail for ever."""
Hashes = NDArray[np.uint32]


def hashes(prefix: str) -> Hashes:
    """murmur3_32 of the prefix and the numbers 00000000 to 09999999: written from its definition,
    for keys whose prefix is a multiple of four bytes.
    """
    assert len(prefix) % 4 == 0
    state = np.zeros(1, np.uint32)
    for block in np.frombuffer(prefix.encode(), np.uint32):
        state = mix(state, np.array([block]))
    digits = "".join(f"{number:04}" for number in range(10_000)).encode()
    words = np.frombuffer(digits, np.uint32)
    state = np.repeat(mix(state, words[: 100 * MILLIONS]), 10_000)
    state = mix(state, np.tile(words, 100 * MILLIONS))
    state ^= np.uint32(len(prefix) + 8)
    state ^= state >> 16
    state *= np.uint32(0x85EBCA6B)
    state ^= state >> 13
    state *= np.uint32(0xC2B2AE35)
    state ^= state >> 16
    return state


def mix(state: Hashes, block: Hashes) -> Hashes:
    block = block * np.uint32(0xCC9E2D51)
    block = (block << 15) | (block >> 17)
    state = state ^ (block * np.uint32(0x1B873593))
    state = (state << 13) | (state >> 19)
    return state * np.uint32(5) + np.uint32(0xE6546B64)


def multiply_shift(values: Hashes, total: int) -> NDArray[np.int64]:
    return ((values.astype(np.uint64) * np.uint64(total)) >> np.uint64(32)).astype(np.int64)


def independent(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """p-value of the χ² test of a table of two classifications."""
    columns = int(other.max()) + 1
    table = np.bincount(one * columns + other).reshape(-1, columns)
    return float(chi2_contingency(table).pvalue)


def uniform(buckets: NDArray[np.int64], total: int) -> float:
    """p-value of the χ² test that all buckets are equally likely."""
    expected = len(buckets) / total
    statistic = ((np.bincount(buckets, minlength=total) - expected) ** 2 / expected).sum()
    return float(chi2.sf(statistic, total - 1))


@pytest.fixture(scope="module")
def layers() -> list[NDArray[np.int64]]:
    """The bucket and the variant, by weights of 1, 2 and 7, of each unit in two layers."""
    return [
        multiply_shift(hashes(prefix), total)
        for salt in ("layer", "other")
        for prefix, total in ((f"enrol/{salt}/", BUCKETS), (f"variant/{salt}/first/", 10))
    ]


def test_it_is_the_hash_of_the_product(layers: list[NDArray[np.int64]]) -> None:
    weights = [{"name": str(w), "weight": w, "policy": "auto"} for w in (1, 2, 7)]
    assigner = Assigner(parsed(salt="layer", variants=weights))
    for number in range(0, MILLIONS * 10**6, 99_991):
        unit = f"{number:08}"
        assert layers[0][number] == spread(f"enrol/layer/{unit}", BUCKETS)
        share = layers[1][number]
        assert assigner.variant(unit).weight == (1 if share < 1 else 2 if share < 3 else 7)


def test_uniform(layers: list[NDArray[np.int64]]) -> None:
    for buckets, total in zip(layers, (BUCKETS, 10) * 2, strict=True):
        assert UNLIKELY < uniform(buckets, total) < 1 - UNLIKELY


def test_layers_are_independent(layers: list[NDArray[np.int64]]) -> None:
    bucket, variant, other_bucket, other_variant = layers
    assert independent(variant, other_variant) > UNLIKELY
    assert independent(bucket // 100, other_bucket // 100) > UNLIKELY
    assert independent(bucket // 100, other_variant) > UNLIKELY


def test_who_is_enrolled_says_nothing_of_the_variant(layers: list[NDArray[np.int64]]) -> None:
    bucket, variant, _, _ = layers
    assert independent(bucket // 10, variant) > UNLIKELY
