"""The same unit gets the same variant: everywhere, always, and whatever share is enrolled."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.experiments.assignment import Assigner, Assigners, spread
from nestling.experiments.definition import BUCKETS, Source, Unit

from .declared import experiment, parsed, plan

NOW = datetime(2026, 11, 21, tzinfo=UTC)
UNITS = [f"user-{number}" for number in range(2000)]
THREE = [{"name": n, "weight": w, "policy": "auto"} for n, w in (("a", 1), ("b", 2), ("c", 7))]
# Of the reference implementation (SMHasher), as listed in https://stackoverflow.com/q/14747343.
PUBLISHED = [
    (b"", 0, 0x00000000),
    (b"", 1, 0x514E28B7),
    (b"", 0xFFFFFFFF, 0x81F16F39),
    (b"\xff\xff\xff\xff", 0, 0x76293B50),
    (b"\x21\x43\x65\x87", 0, 0xF55B516B),
    (b"\x21\x43\x65\x87", 0x5082EDEE, 0x2362F9DE),
    (b"\x21\x43\x65", 0, 0x7E4A8634),
    (b"\x21\x43", 0, 0xA0F7B07A),
    (b"\x21", 0, 0x72661CF4),
    (b"\x00\x00\x00\x00", 0, 0x2362F9DE),
    (b"\x00", 0, 0x514E28B7),
    (b"aaaa", 0x9747B28C, 0x5A97808A),
    (b"Hello, world!", 0x9747B28C, 0x24884CBA),
    (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
]
# Fixed for ever: another value here would move users between variants.
GOLDEN = [
    ("alice", 2081, "c"),
    ("bob", 4924, "a"),
    ("user-1", 1863, "c"),
    ("user-2", 794, "a"),
    ("0", 5445, "c"),
    ("Zoë", 4405, "c"),
    ("日本", 431, "a"),
    ("x" * 100, 5718, "c"),
]


@pytest.mark.parametrize(("key", "seed", "expected"), PUBLISHED)
def test_the_hash_is_murmur3_x86_32(key: bytes, seed: int, expected: int) -> None:
    assert mmh3.hash(key, seed, signed=False) == expected


def test_multiply_shift_takes_the_high_bits() -> None:
    assert spread("", 10_000) == 0
    key = "The quick brown fox jumps over the lazy dog"
    assert spread(key, 10_000) == (mmh3.hash(key, 0, signed=False) * 10_000) // 2**32


@pytest.mark.parametrize(("unit", "bucket", "variant"), GOLDEN)
def test_golden_vectors(unit: str, bucket: int, variant: str) -> None:
    assert spread(f"enrol/smaller/{unit}", BUCKETS) == bucket
    assert Assigner(parsed(variants=THREE)).variant(unit).name == variant


def test_another_process_assigns_the_same() -> None:
    code = (
        "from tests.experiments.declared import parsed\n"
        "from nestling.experiments.assignment import Assigner\n"
        "assigner = Assigner(parsed(enrolled=0.5, paired=0.5))\n"
        "print([assigner.assign(f'user-{n}') for n in range(50)])"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assigner = Assigner(parsed(enrolled=0.5, paired=0.5))
    assert there.stdout.strip() == str([assigner.assign(unit) for unit in UNITS[:50]])


@given(st.text(min_size=1), st.integers(0, BUCKETS), st.integers(0, BUCKETS))
def test_raising_the_enrolled_share_moves_nobody(unit: str, one: int, other: int) -> None:
    few, many = (
        Assigner(parsed(variants=THREE, enrolled=n / BUCKETS)).assign(unit)
        for n in sorted((one, other))
    )
    assert few is None or few == many


def test_shares_are_those_of_the_weights() -> None:
    assigner = Assigner(parsed(variants=THREE, enrolled=0.4))
    assigned = [a.variant.name for unit in UNITS if (a := assigner.assign(unit))]
    assert len(assigned) == pytest.approx(800, abs=90)
    for name, share in (("a", 0.1), ("b", 0.2), ("c", 0.7)):
        assert assigned.count(name) / len(assigned) == pytest.approx(share, abs=0.06)


def test_a_phase_draws_afresh() -> None:
    first, second = (Assigner(parsed(phase=phase)) for phase in ("first", "second"))
    same = sum(first.variant(unit) == second.variant(unit) for unit in UNITS)
    assert same / len(UNITS) == pytest.approx(0.5, abs=0.05)
    assert all(first.enrols(unit) == second.enrols(unit) for unit in UNITS)


def test_a_stopped_variant_leaves_the_others_where_they_are() -> None:
    assigner = Assigner(parsed(variants=THREE))
    for unit in UNITS[:200]:
        before, after = assigner.assign(unit), assigner.assign(unit, stopped={"c"})
        assert before is not None
        assert after == (None if before.variant.name == "c" else before)


def test_a_pair_is_answered_by_both_and_keeps_its_variant() -> None:
    alone, paired = Assigner(parsed()), Assigner(parsed(paired=0.3))
    assigned = [(alone.assign(unit), paired.assign(unit)) for unit in UNITS]
    others = [b.other for a, b in assigned if a and b]
    assert all(a and b and a.variant == b.variant != b.other for a, b in assigned)
    assert sum(other is not None for other in others) / len(UNITS) == pytest.approx(0.3, abs=0.04)
    stopped = [paired.assign(unit, stopped={"small"}) for unit in UNITS]
    assert all(each.other is None for each in stopped if each)


def test_no_salt_meets_another_by_accident() -> None:
    keys = {spread(f"{kind}/a/{unit}", 2**32) for kind in ("enrol", "pair") for unit in UNITS}
    assert len(keys) == 2 * len(UNITS)


@given(st.text(min_size=1))
def test_any_text_is_a_unit(unit: str) -> None:
    assert Assigner(parsed()).assign(unit)


def test_a_lone_surrogate_is_one_too() -> None:
    assert Assigner(parsed()).assign("\ud800")


def assigned(now: datetime, stopped: Any = (), **units: str | None) -> dict[str, str]:
    layers = [{"name": "routing"}, {"name": "machines"}]
    runners = [
        {"name": "torch", "weight": 1, "runner": "torch"},
        {"name": "onnx", "weight": 1, "runner": "onnx"},
    ]
    assigners = Assigners(
        plan(
            experiment("low", layer="routing", owns=[0, 0.5]),
            experiment("high", layer="routing", owns=[0.5, 1]),
            experiment("machine", layer="machines", unit="request", variants=runners),
            layers=layers,
        )
    )

    def unit_of(unit: Unit) -> str | None:
        return units.get({Source.HEADER: "header"}.get(unit.source, unit.source.value))

    return {a.experiment: a.variant.name for a in assigners.assign(unit_of, now, stopped)}


def test_one_of_each_layer_at_most() -> None:
    for unit in UNITS[:100]:
        got = assigned(NOW, header=unit, request="r")
        assert len(got) == 2
        assert ("low" in got) != ("high" in got)


def test_without_the_unit_or_out_of_time_nothing() -> None:
    assert set(assigned(NOW, header=None, request="r")) == {"machine"}
    assert set(assigned(NOW, header="", request="r")) == {"machine"}
    assert assigned(datetime(2026, 10, 31, tzinfo=UTC), header="a", request="r") == {}
    assert assigned(datetime(2026, 12, 1, tzinfo=UTC), header="a", request="r") == {}


def test_stopped_is_of_one_experiment() -> None:
    before = assigned(NOW, header="a", request="r")
    stopped = {("machine", before["machine"]), ("low", "onnx")}
    after = assigned(NOW, stopped, header="a", request="r")
    assert after == {name: v for name, v in before.items() if name != "machine"}
