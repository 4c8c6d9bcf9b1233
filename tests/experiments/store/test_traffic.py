"""Which exposures and outcomes count in a phase, and what each variant received."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from nestling.experiments.records import Outcome
from nestling.experiments.store.comparison import moments, series
from nestling.experiments.store.database import transaction
from nestling.experiments.store.observations import Scope
from nestling.experiments.store.traffic import (
    crossed_units,
    latency_at,
    traffic,
)

from .samples import BEGIN, exposure, receive, write
from .textbook import SCOPE


def test_a_unit_in_two_variants_is_reported_and_left_out(engine: Engine) -> None:
    write(
        engine,
        [
            exposure(0, unit="ana"),
            exposure(1, unit="ana", variant="blue"),
            exposure(2, unit="ben"),
            exposure(3, unit="cy", phase="second", variant="blue"),
            exposure(4, unit="ben", phase="second", variant="blue"),
            exposure(5, unit="dan", variant="blue"),
            # The other arm of a paired request is no crossing.
            exposure(6, unit="eve", paired=True),
            exposure(6, unit="eve", variant="blue", paired=True, served=False),
        ],
    )
    visits = [
        Outcome(metric="visits", value=1.0, experiment="colours", unit=u) for u in ("ana", "dan")
    ]
    receive(engine, visits, 60)
    with transaction(engine) as connection:
        assert crossed_units(connection, SCOPE) == 1
        assert {v: t.units for v, t in traffic(connection, SCOPE).items()} == {"red": 2, "blue": 1}
        assert moments(connection, SCOPE, "latency_ms")["red"].units.n == 2
        assert {v: m.units.n for v, m in moments(connection, SCOPE, "visits").items()} == {
            "blue": 1
        }
        second = Scope("colours", "second")
        assert crossed_units(connection, second) == 0  # who is drawn anew has not crossed
        assert {v: t.units for v, t in traffic(connection, second).items()} == {"blue": 2}


def test_outcomes_of_a_unit_count_in_the_phase_that_it_was_in(engine: Engine) -> None:
    write(engine, [exposure(0, unit="ana"), exposure(100, unit="ana", phase="second")])
    for seconds, visits in ((-5, 1.0), (50, 2.0), (100, 10.0), (1000, 20.0)):
        at = BEGIN + timedelta(seconds=seconds)
        one = Outcome(metric="visits", value=visits, experiment="colours", unit="ana", at=at)
        receive(engine, [one], seconds)
    with transaction(engine) as connection:
        means = [
            moments(connection, Scope("colours", phase), "visits")["red"].units.mean
            for phase in ("first", "second")
        ]
    assert means == [1.5, 15.0]


def test_traffic_and_latencies(engine: Engine) -> None:
    write(
        engine,
        [
            exposure(
                number,
                unit=f"unit-{number % 50}",
                texts=2,
                escalations=number % 2,
                latency_seconds=(number + 1) / 1000,
                status=500 if number >= 200 else 200,
            )
            for number in range(250)
        ]
        + [exposure(300, variant="blue", cost=0.5)],
    )
    with transaction(engine) as connection:
        found = traffic(connection, SCOPE)
        red = found["red"]
        assert (red.units, red.requests, red.texts, red.errors) == (50, 250, 500, 50)
        assert red.error_rate == 0.2
        assert red.escalation_rate == 0.25
        assert red.cost_per_1000 == pytest.approx(2.0)
        assert found["blue"].cost_per_1000 == 500
        ranks = (1, 100, 190, 198, 200)
        seconds = [latency_at(connection, SCOPE, "red", rank) for rank in ranks]
        assert seconds == [0.001, 0.1, 0.19, 0.198, 0.2]
        assert latency_at(connection, SCOPE, "blue", 1) == 0.01


def test_nothing_is_known_of_an_experiment_that_nobody_met(engine: Engine) -> None:
    with transaction(engine) as connection:
        assert moments(connection, SCOPE, "reward") == {}
        assert series(connection, SCOPE, "reward") == []
        assert traffic(connection, SCOPE) == {}
        assert crossed_units(connection, SCOPE) == 0
