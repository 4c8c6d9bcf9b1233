"""Outcomes count once, whoever sends them and however often, and each has an answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select

from nestling.experiments.errors import StoreError
from nestling.experiments.records import Outcome
from nestling.experiments.store.comparison import moments
from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.observations import Scope
from nestling.experiments.store.outcomes import Receipt, record
from nestling.experiments.store.retention import prune
from nestling.experiments.store.schema import exposures, outcomes

from .cluster import Cluster
from .samples import BEGIN, count, exposure, receive, reward, write

STORED, DUPLICATE, CONFLICT = Receipt.STORED, Receipt.DUPLICATE, Receipt.CONFLICT
UNKNOWN, LATE = Receipt.UNKNOWN, Receipt.LATE
SCOPE = Scope("colours", "first")


def stored(engine: Engine) -> int:
    with transaction(engine) as connection:
        return connection.scalars(select(func.count()).select_from(outcomes)).one()


def test_the_same_again_is_a_duplicate_and_other_content_a_conflict(engine: Engine) -> None:
    write(engine, [exposure(1), exposure(2)])
    assert receive(engine, [reward(1, 0.5), reward(2, 1.0)]) == [STORED, STORED]
    assert receive(engine, [reward(1, 0.5), reward(2, 0.0)], 60) == [DUPLICATE, CONFLICT]
    label = Outcome(metric="label", value="music", request_id="request-1", id="mine")
    other = Outcome(metric="label", value="money", request_id="request-1", id="mine")
    elsewhere = Outcome(metric="label", value="music", request_id="request-2", id="mine")
    assert receive(engine, [label, label, other, elsewhere]) == [
        STORED,
        DUPLICATE,
        CONFLICT,
        CONFLICT,
    ]
    assert stored(engine) == 3
    with transaction(engine) as connection:
        assert moments(connection, SCOPE, "reward")["red"].units.mean == 0.75


def test_an_outcome_ahead_of_its_exposure_waits_for_it(engine: Engine) -> None:
    of_unit = Outcome(metric="visits", value=3.0, experiment="colours", unit="unit-1")
    assert receive(engine, [reward(1, 1.0), of_unit]) == [UNKNOWN, UNKNOWN]
    with transaction(engine) as connection:
        assert moments(connection, SCOPE, "reward") == {}
        assert moments(connection, SCOPE, "visits") == {}
    write(engine, [exposure(1)])
    with transaction(engine) as connection:
        assert moments(connection, SCOPE, "reward")["red"].units.n == 1
        assert moments(connection, SCOPE, "visits")["red"].units.mean == 3.0
    assert receive(engine, [reward(1, 1.0), of_unit]) == [DUPLICATE, DUPLICATE]


def test_a_unit_is_known_in_its_own_experiment_only(engine: Engine) -> None:
    write(engine, [exposure(1)])
    assert receive(
        engine,
        [
            Outcome(metric="visits", value=3.0, experiment="colours", unit="unit-1"),
            Outcome(metric="visits", value=3.0, experiment="shapes", unit="unit-1"),
        ],
    ) == [STORED, UNKNOWN]


def test_what_comes_after_the_deadline_is_kept_and_not_counted(engine: Engine) -> None:
    write(engine, [exposure(1), exposure(1, experiment="shapes"), exposure(2)])
    ended = {"colours": BEGIN + timedelta(seconds=10)}
    in_time, too_late = receive(engine, [reward(2, 1.0)], 10, **ended), [reward(1, 0.0)]
    assert in_time == [STORED]
    assert receive(engine, too_late, 11, **ended) == [STORED]  # for `shapes`, which goes on
    clicks = Outcome(metric="clicks", value=1.0, request_id="request-2", at=BEGIN)
    assert receive(engine, [clicks], 11, **ended) == [LATE]
    assert receive(engine, [clicks], 12, **ended) == [DUPLICATE]
    with transaction(engine) as connection:
        scope = Scope("colours", "first", ended["colours"])
        assert moments(connection, scope, "reward")["red"].units.n == 1
        assert moments(connection, scope, "clicks") == {}
        assert moments(connection, Scope("shapes", "first"), "reward")["red"].units.n == 1
    assert stored(engine) == 3


def test_thousands_at_once_each_with_its_answer(engine: Engine) -> None:
    write(engine, [exposure(number) for number in range(0, 2500, 2)])
    given = [reward(number, 1.0) for number in range(2500)]
    assert receive(engine, given) == [STORED, UNKNOWN] * 1250
    assert receive(engine, given[::-1]) == [DUPLICATE] * 2500


def test_replicas_that_record_the_same_store_it_once(engine: Engine) -> None:
    """In opposite orders, which would deadlock if rows were written as they come."""
    write(engine, [exposure(number) for number in range(500)])
    given = [reward(number, 1.0) for number in range(500)]
    with ThreadPoolExecutor(4) as replicas:
        runs = list(
            replicas.map(lambda turn: receive(engine, given[::turn])[::turn], [1, -1, 1, -1])
        )
    for answers in zip(*runs, strict=True):
        assert sorted(answers) == [DUPLICATE] * 3 + [STORED]
    assert stored(engine) == 500


def test_a_clock_that_goes_backwards_makes_nothing_late(engine: Engine) -> None:
    write(engine, [exposure(1)])
    visits = Outcome(metric="visits", value=3.0, experiment="colours", unit="unit-1")
    assert receive(engine, [reward(1, 1.0), visits], -3600) == [STORED, STORED]
    with transaction(engine) as connection:
        assert moments(connection, SCOPE, "reward")["red"].units.n == 1
        assert moments(connection, SCOPE, "visits")["red"].units.n == 1


def test_a_database_that_is_away_is_said_so(cluster: Cluster) -> None:
    engine = open_database(cluster.new_schema())
    cluster.kill()
    try:
        with pytest.raises(StoreError, match=r"^store: postgresql.*refused"):
            record(engine, [reward(1, 1.0)], BEGIN, {})
    finally:
        cluster.start()
    assert record(engine, [reward(1, 1.0)], BEGIN, {}) == [UNKNOWN]
    engine.dispose()


def test_what_is_old_is_forgotten_and_nothing_else(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nestling.experiments.store.retention.BATCH", 7)
    write(engine, [exposure(number) for number in range(50)])
    for number in range(50):
        receive(engine, [reward(number, 1.0)], number)
    assert prune(engine, BEGIN + timedelta(seconds=30)) == (30, 30)
    assert prune(engine, BEGIN + timedelta(seconds=30)) == (0, 0)
    assert (count(engine), stored(engine)) == (20, 20)
    with transaction(engine) as connection:
        assert connection.scalar(select(func.min(exposures.c.request_id))) == "request-30"
