"""Metrics that reports compare, against the same numbers computed from the rows with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import Engine

from nestling.experiments.records import Exposure, Outcome
from nestling.experiments.statistics.summary import Joint, Summary
from nestling.experiments.store.comparison import moments, paired, series
from nestling.experiments.store.database import transaction

from .samples import exposure, receive, reward, write
from .textbook import SCOPE, VARIANTS, close, expected, joint, stream


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_moments_over_units_without_cancellation(engine: Engine, offset: float) -> None:
    rows = stream(600, 80, offset=offset / 1000)
    write(engine, rows)
    rewards = [offset + float(value) for value in np.random.default_rng(1).normal(size=len(rows))]
    receive(engine, [reward(number, value) for number, value in enumerate(rewards)])
    with transaction(engine) as connection:
        for metric, values in (
            ("reward", rewards),
            ("latency_ms", [1000 * r.latency_seconds for r in rows]),
        ):
            found = moments(connection, SCOPE, metric)
            assert found.keys() == set(VARIANTS)
            for variant in VARIANTS:
                close(found[variant], expected(rows, values, variant), offset)


def test_the_label_is_what_the_answer_should_have_been(engine: Engine) -> None:
    write(engine, [exposure(0), exposure(1), exposure(2, label=None, status=504), exposure(3)])
    labels = ["music", "money", "music"]  # nobody knows of the fourth
    receive(
        engine,
        [Outcome(metric="label", value=x, request_id=f"request-{i}") for i, x in enumerate(labels)],
    )
    with transaction(engine) as connection:
        right = moments(connection, SCOPE, "accuracy")["red"].units
    close(right, Summary(3, 1 / 3, 2 / 3))


def test_what_the_server_measures_is_of_answered_requests(engine: Engine) -> None:
    answered = exposure(0, texts=4, escalations=6, relative_cost=0.8, cost=0.01)
    write(engine, [answered, exposure(1, status=503, latency_seconds=9.0, escalations=1)])
    with transaction(engine) as connection:
        means = {
            metric: moments(connection, SCOPE, metric)["red"].units
            for metric in ("error_rate", "latency_ms", "escalations", "relative_cost", "cost")
        }
    assert {metric: m.n for metric, m in means.items()} == {
        **dict.fromkeys(means, 1),
        "error_rate": 2,
    }
    assert {metric: m.mean for metric, m in means.items()} == {
        "error_rate": 0.5,
        "latency_ms": 10.0,
        "escalations": 6.0,
        "relative_cost": 0.2,
        "cost": 0.01,
    }


def test_the_covariate_is_the_one_of_the_first_exposure(engine: Engine) -> None:
    later = {"unit": "ana", "covariate": 50.0}
    write(engine, [exposure(1, **later), exposure(0, unit="ana", covariate=2.0)])
    with transaction(engine) as connection:
        assert moments(connection, SCOPE, "latency_ms")["red"].covaried.covariate == Summary(
            1, 2.0, 0.0
        )


def test_a_series_narrows_to_the_whole(engine: Engine) -> None:
    rows = stream(500, 120, seed=3)
    write(engine, rows)
    rewards = [float(value) for value in np.random.default_rng(4).normal(1e6, 1, len(rows))]
    receive(engine, [reward(number, value) for number, value in enumerate(rewards)])
    with transaction(engine) as connection:
        line = series(connection, SCOPE, "reward", points=20)
        whole = moments(connection, SCOPE, "reward")
    assert 10 < len(line) <= 20
    assert [point.at for point in line] == sorted({point.at for point in line})
    for variant in VARIANTS:
        counts = [point.variants[variant].units.n for point in line if variant in point.variants]
        assert counts == sorted(counts)
        close(line[-1].variants[variant], whole[variant])
    middle = line[len(line) // 2]
    firsts: dict[str, Exposure] = {}
    for row in rows:
        firsts.setdefault(row.unit, row)
    early = {unit for unit, row in firsts.items() if row.at < middle.at}
    for variant in VARIANTS:
        chosen = [
            (row, value) for row, value in zip(rows, rewards, strict=True) if row.unit in early
        ]
        close(middle.variants[variant], expected(*map(list, zip(*chosen, strict=True)), variant))


def test_both_arms_on_the_same_requests(engine: Engine) -> None:
    rows, labels = [], []
    for number in range(60):
        red = "music" if number % 3 else "money"
        blue = "music" if number % 4 else "money"
        both = {"paired": True, "unit": f"unit-{number % 20}"}
        rows += [
            exposure(number, label=red, relative_cost=0.1 * (number % 7), **both),
            exposure(number, variant="blue", label=blue, relative_cost=1.0, served=False, **both),
        ]
        labels.append(Outcome(metric="label", value="music", request_id=f"request-{number}"))
    write(engine, [*rows, exposure(99), exposure(98, paired=True)])
    receive(engine, labels[:40])
    right = np.array([[n % 3 > 0, n % 4 > 0] for n in range(40)], dtype=float)
    per_unit = np.array([right[[n, n + 20]].mean(axis=0) for n in range(20)])
    cost = np.array([np.mean([0.1 * (n % 7) for n in (u, u + 20, u + 40)]) for u in range(20)])
    with transaction(engine) as connection:
        accuracy = paired(connection, SCOPE, "accuracy", ("red", "blue"))
        costs = paired(connection, SCOPE, "relative_cost", ("red", "blue"))
        nothing = paired(connection, SCOPE, "error_rate", ("red", "green"))
        with pytest.raises(ValueError, match="'reward' is of the answer that was served"):
            paired(connection, SCOPE, "reward", ("red", "blue"))
    close(accuracy, joint(per_unit[:, 0], per_unit[:, 1]))
    close(costs, joint(cost, np.ones(20)))
    assert nothing == Joint()


def test_the_share_of_a_units_requests_above_a_limit(engine: Engine) -> None:
    seconds = {"ana": [0.1, 0.3], "ben": [0.2, 0.3, 0.4, 0.1], "cy": [0.2]}
    times = [(unit, one) for unit, several in seconds.items() for one in several]
    write(
        engine,
        [exposure(n, unit=unit, latency_seconds=one) for n, (unit, one) in enumerate(times)],
    )
    with transaction(engine) as connection:
        above = moments(connection, SCOPE, "latency_ms", above=250)["red"].units
    close(above, Summary(3, 1 / 3, 0.5 - 3 / 9))
