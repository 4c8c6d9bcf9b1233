"""How much has been seen of what was to be seen, at the last look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from nestling.experiments.records import Outcome
from nestling.experiments.statistics.missing import FAILURES, PAIRS, Coverage
from nestling.experiments.statistics.summary import Summary
from nestling.experiments.store.coverage import coverage
from nestling.experiments.store.database import transaction

from .samples import BEGIN, exposure, receive, reward, write
from .textbook import SCOPE

PLANNED = 100


def found(engine: Engine, metric: str, pairs_of: str | None = None) -> dict[str, Coverage]:
    with transaction(engine) as connection:
        return coverage(connection, SCOPE, metric, PLANNED, pairs_of)


def label(number: int, value: str = "music", **fields: object) -> Outcome:
    return Outcome(metric="label", value=value, request_id=f"request-{number}", **fields)


def close(seen: Coverage, shares: list[float], requests: int, observed: int) -> None:
    expected = Summary.of(shares)
    assert (seen.shares.n, seen.requests, seen.observed) == (expected.n, requests, observed)
    assert seen.shares.mean == pytest.approx(expected.mean)
    assert seen.shares.m2 == pytest.approx(expected.m2)


def test_a_units_share_is_of_its_requests(engine: Engine) -> None:
    write(
        engine,
        [
            *(exposure(n, unit="ana") for n in range(4)),
            exposure(4, unit="ben"),
            exposure(5, unit="cy", variant="blue"),
            exposure(6, unit="dan", variant="blue"),
            exposure(7, unit="dan", phase="second"),
        ],
    )
    # Two outcomes of one request are one; the second phase is not ours.
    receive(engine, [label(n) for n in (0, 1, 4, 5, 7)] + [label(0, id="again")], 60)
    seen = found(engine, "accuracy")
    assert seen.keys() == {"red", "blue"}
    close(seen["red"], [0.5, 1.0], 5, 3)
    close(seen["blue"], [1.0, 0.0], 2, 1)
    assert found(engine, "reward") == {}


def test_an_outcome_of_a_unit_is_of_all_its_requests(engine: Engine) -> None:
    write(
        engine,
        [exposure(0, unit="ana"), exposure(1, unit="ana"), exposure(2, unit="ben"), exposure(3)],
    )
    visit = Outcome(metric="reward", value=1.0, experiment="colours", unit="ana")
    receive(engine, [visit, reward(2, 1.0)], 60)
    close(found(engine, "reward")["red"], [1.0, 1.0, 0.0], 4, 3)


def test_late_outcomes_do_not_count(engine: Engine) -> None:
    write(engine, [exposure(n) for n in range(10)])
    receive(engine, [label(n) for n in range(6)], 60)
    receive(engine, [label(n) for n in range(6, 10)], 600)
    scope = replace(SCOPE, deadline=BEGIN + timedelta(seconds=100))
    with transaction(engine) as connection:
        seen = coverage(connection, scope, "accuracy", PLANNED)
    close(seen["red"], [1.0] * 6 + [0.0] * 4, 10, 6)


def test_one_looks_when_observations_have_grown(engine: Engine) -> None:
    """Of 103 the 100th is the last look; what was enrolled after it is not in it yet."""
    write(engine, [exposure(n) for n in range(110)])
    for n in range(103):
        receive(engine, [label(n)], n + 0.5)
    close(found(engine, "accuracy")["red"], [1.0] * 100, 100, 100)
    for n in range(103, 105):
        receive(engine, [label(n)], n + 0.5)
    close(found(engine, "accuracy")["red"], [1.0] * 105, 105, 105)


def test_an_outcome_that_is_there_before_its_exposure(engine: Engine) -> None:
    receive(engine, [label(0), label(1)], -60)
    write(engine, [exposure(0), exposure(1), exposure(2)])
    close(found(engine, "accuracy")["red"], [1.0, 1.0], 2, 2)


def test_requests_that_failed(engine: Engine) -> None:
    write(
        engine,
        [
            exposure(0, unit="ana", status=503),
            exposure(1, unit="ana"),
            exposure(2, unit="ben", status=429),
            exposure(3, variant="blue"),
            exposure(4, variant="blue"),
        ],
    )
    seen = found(engine, FAILURES)
    close(seen["red"], [0.5, 0.0], 3, 1)
    close(seen["blue"], [1.0, 1.0], 2, 2)


def test_pairs_that_both_variants_answered(engine: Engine) -> None:
    other = {"variant": "blue", "served": False}
    both = {"paired": True}
    write(
        engine,
        [
            exposure(0, **both),
            exposure(0, **both, **other),
            exposure(1, **both),
            exposure(1, **both, **other, status=503),
            exposure(2, **both),  # the other one was not asked
            exposure(3, **both, status=503),
            exposure(4),  # is in no pair
            exposure(5, variant="blue", **both),
            exposure(5, **both, served=False),
        ],
    )
    cost = found(engine, PAIRS, "relative_cost")
    close(cost["red"], [1.0, 0.0, 0.0, 0.0], 4, 1)
    close(cost["blue"], [1.0], 1, 1)
    assert found(engine, PAIRS, "accuracy") == {}
    receive(engine, [label(0), label(1)], 60)
    right = found(engine, PAIRS, "accuracy")
    close(right["red"], [1.0, 0.0, 0.0, 0.0], 4, 1)
    close(right["blue"], [0.0], 1, 0)
