"""While an experiment runs, nobody is moved between variants unless a phase with a name begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nestling.experiments.definition import RampPhase
from nestling.experiments.diff import changed, changes
from nestling.experiments.errors import DeclarationError

from .declared import experiment, parsed, plan

START = datetime(2026, 11, 1, tzinfo=UTC)
RUNNING = START + timedelta(days=3)
ENDED = datetime(2027, 1, 1, tzinfo=UTC)
FIRST = (RampPhase("first", START),)
HEAVIER = [
    {"name": "control", "weight": 1, "policy": "auto"},
    {"name": "small", "weight": 9, "policy": "tiny"},
]


def refused(now: datetime, phases: tuple[RampPhase, ...] = FIRST, **fields: Any) -> str:
    with pytest.raises(DeclarationError) as raised:
        changed(parsed(), parsed(**fields), now, phases)
    return str(raised.value)


def test_a_new_experiment_begins_with_its_first_phase() -> None:
    assert changed(None, parsed(), RUNNING).phase == RampPhase("first", RUNNING)
    assert changed(None, parsed(), START - timedelta(days=1)).phase == RampPhase("first", START)


def test_nothing_changes() -> None:
    assert changed(parsed(), parsed(), RUNNING, FIRST).words == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"enrolled": 0.2}, "enrolled: 1 to 0.2"),
        ({"end": None}, "end: 2026-12-01 00:00:00+00:00 to open"),
        ({"guardrails": [{"metric": "error_rate", "limit": 0.1}]}, "guardrails: changed"),
    ],
)
def test_what_may_change_while_it_runs(fields: dict[str, Any], words: str) -> None:
    change = changed(parsed(), parsed(**fields), RUNNING, FIRST)
    assert (change.words, change.phase) == ((words,), None)


@pytest.mark.parametrize(
    "fields",
    [
        {"variants": HEAVIER},
        {"salt": "other"},
        {"unit": "user"},
        {"owns": [0, 0.5], "enrolled": 0.5},
        {"primary": {"metric": "error_rate", "smallest_effect": 0.005}},
        {"primary": {"metric": "accuracy", "smallest_effect": 0.1}},
        {"confidence": 0.9},
        {"planned_units": 100},
        {"paired": 0.5},
    ],
)
def test_what_begins_a_phase(fields: dict[str, Any]) -> None:
    assert "'first', which is running: give the phase a new name" in refused(RUNNING, **fields)
    change = changed(parsed(), parsed(phase="second", **fields), RUNNING, FIRST)
    assert change.phase == RampPhase("second", RUNNING)
    assert "phase: 'first' to 'second'" in change.words


def test_a_layer_keeps_its_salt_while_its_experiments_run() -> None:
    old, new = (
        plan(experiment(layer="routing"), layers=[{"name": "routing", "salt": salt}])
        for salt in "ab"
    )
    with pytest.raises(DeclarationError, match=r"smaller\.layer"):
        changes(old, new, RUNNING, {"smaller": FIRST})


def test_a_phase_has_its_name_once() -> None:
    phases = (RampPhase("zeroth", START), *FIRST)
    assert "was a phase before" in refused(RUNNING, phases, phase="zeroth")


def test_before_the_start_everything_may_change() -> None:
    change = changed(parsed(), parsed(variants=HEAVIER), START - timedelta(days=1), FIRST)
    assert change.phase == RampPhase("first", START)


def test_the_start_is_past_and_the_end_is_not() -> None:
    assert "has started already" in refused(RUNNING, start="2026-11-02T00:00:00Z")
    assert "is past" in refused(RUNNING, end="2026-11-02T00:00:00Z")


def test_what_has_ended_stands() -> None:
    assert "has ended" in refused(ENDED, end=None)


def test_a_clock_that_went_back() -> None:
    phases = (*FIRST, RampPhase("second", RUNNING))
    with pytest.raises(DeclarationError, match="the clock was put back"):
        changed(
            parsed(phase="second"),
            parsed(phase="third"),
            RUNNING - timedelta(minutes=1),
            phases,
        )


def test_all_steps_or_none() -> None:
    old = plan(experiment("one", owns=[0, 0.5], layer="l"), layers=[{"name": "l"}])
    new = plan(experiment("two", owns=[0.5, 1], layer="l"), layers=[{"name": "l"}])
    with pytest.raises(DeclarationError, match="one: is running and not declared"):
        changes(old, new, RUNNING, {})
    [step] = changes(old, new, ENDED, {})
    assert step.name == "two"
