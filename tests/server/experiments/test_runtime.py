"""Guardrails of running experiments, without HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from nestling.experiments.definition import Source, Unit
from nestling.experiments.runtime import Experiments
from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.plans import stop
from nestling.models.errors import NestlingError
from nestling.server.telemetry.experiments import ExperimentMetrics

from ...experiments.declared import KNOWN, experiment
from ...experiments.store.samples import count, exposure, receive, reward, until, write
from .recording import running

DECLARED = {
    "experiments": [
        experiment(
            start="2026-01-01T00:00:00Z",
            end=None,
            guardrails=[{"metric": "error_rate", "limit": 0.05}],
        )
    ]
}


async def no_pin(runners: Collection[str]) -> None:
    assert not runners


def with_runtime(
    path: Path,
    scenario: Callable[[Experiments, CollectorRegistry], Awaitable[Any]],
    keep: timedelta | None = None,
) -> Any:
    """Run a scenario on experiments that have started."""

    async def main() -> Any:
        registry = CollectorRegistry()
        engine = open_database(f"sqlite:///{path / 'store.db'}")
        metrics = ExperimentMetrics(registry)
        experiments = Experiments(engine, lambda: KNOWN, no_pin, metrics, keep)
        await experiments.start()
        try:
            return await scenario(experiments, registry)
        finally:
            await experiments.stop(10)

    return asyncio.run(main())


def variant_of(experiments: Experiments, unit: str) -> str | None:
    def unit_of(wanted: Unit) -> str:
        assert wanted.source is Source.HEADER
        return unit

    got = experiments.assign(unit_of)
    return got[0].variant.name if got else None


def test_a_broken_guardrail_stops_its_variant_for_everybody_and_for_good(tmp_path: Path) -> None:
    units = [f"user-{number}" for number in range(400)]

    async def breaking(experiments: Experiments, registry: CollectorRegistry) -> dict[str, Any]:
        await experiments.declare(DECLARED)
        before = {unit: variant_of(experiments, unit) for unit in units}
        experiments.record(
            [
                exposure(
                    number,
                    experiment="smaller",
                    variant=before[unit],
                    unit=unit,
                    at=datetime.now(UTC),
                    status=500 if before[unit] == "small" and number % 3 else 200,
                )
                for number, unit in enumerate(units)
            ]
        )
        await asyncio.to_thread(until, lambda: experiments._writer.written == len(units))
        await experiments._check_guardrails()
        for unit, variant in before.items():
            assert variant_of(experiments, unit) == ("control" if variant == "control" else None)
        await experiments._check_guardrails()
        labels = {"experiment": "smaller", "variant": "small"}
        assert registry.get_sample_value("nestling_experiment_stopped", labels) == 1
        report = (await experiments.report("smaller")).report
        [why] = [each.stopped for each in report.variants if each.name == "small"]
        assert why
        assert "'small' is stopped: error_rate" in why
        return before

    before = with_runtime(tmp_path, breaking)

    async def after(experiments: Experiments, _: CollectorRegistry) -> None:
        for unit, variant in before.items():
            assert variant_of(experiments, unit) == ("control" if variant == "control" else None)

    with_runtime(tmp_path, after)


def test_a_stop_holds_though_a_runner_could_not_be_started_when_it_was_read(tmp_path: Path) -> None:
    async def scenario(experiments: Experiments, _: CollectorRegistry) -> None:
        await experiments.declare(DECLARED)
        with transaction(experiments.engine) as connection:
            stop(connection, "smaller", "first", "small", "it is slow", datetime.now(UTC))
        pin = experiments._pin

        async def failing(runners: Collection[str]) -> None:
            raise NestlingError("a worker has ended")

        experiments._pin = failing
        with pytest.raises(NestlingError):
            await experiments.refresh()
        experiments._pin = pin
        await experiments.refresh()
        assert {variant_of(experiments, f"user-{n}") for n in range(100)} == {"control", None}

    with_runtime(tmp_path, scenario)


def test_a_lopsided_sample_is_flagged(tmp_path: Path) -> None:
    async def scenario(experiments: Experiments, registry: CollectorRegistry) -> None:
        await experiments.declare(DECLARED)
        labels = {"experiment": "smaller"}
        name = "nestling_experiment_sample_ratio_mismatch"
        assert registry.get_sample_value(name, labels) == 0
        experiments.record(
            [
                exposure(
                    number,
                    experiment="smaller",
                    variant="small" if number % 4 else "control",
                    unit=f"user-{number}",
                )
                for number in range(400)
            ]
        )
        await asyncio.to_thread(until, lambda: experiments._writer.written == 400)
        await experiments._check_guardrails()
        assert registry.get_sample_value(name, labels) == 1
        verdict = (await experiments.report("smaller")).report.verdict
        assert verdict.sentence.startswith("no verdict")

    with_runtime(tmp_path, scenario)


def test_failures_of_one_variant_are_flagged(tmp_path: Path) -> None:
    async def scenario(experiments: Experiments, registry: CollectorRegistry) -> None:
        await experiments.declare({"experiments": [running("smaller")]})
        name = "nestling_experiment_attrition"
        series = [{"experiment": "smaller", "metric": m} for m in ("error_rate", "accuracy")]
        assert [registry.get_sample_value(name, labels) for labels in series] == [0, 0]
        rows = [
            exposure(
                number,
                experiment="smaller",
                variant="small" if number % 2 else "control",
                status=429 if number % 4 == 1 else 200,
            )
            for number in range(400)
        ]
        experiments.record(rows)
        await asyncio.to_thread(until, lambda: experiments._writer.written == 400)
        await experiments._check_guardrails()
        assert [registry.get_sample_value(name, labels) for labels in series] == [1, 0]
        verdict = (await experiments.report("smaller")).report.verdict
        assert verdict.sentence.startswith("no verdict: the variants do not fail alike")

    with_runtime(tmp_path, scenario)


def test_what_is_too_old_is_deleted_at_the_start(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    write(engine, [exposure(number, at=now - timedelta(days=number)) for number in range(10)])
    receive(engine, [reward(9, 1.0)])  # in March
    engine.dispose()

    async def scenario(experiments: Experiments, registry: CollectorRegistry) -> None:
        def pruned(table: str) -> float | None:
            return registry.get_sample_value("nestling_store_pruned_total", {"table": table})

        await asyncio.to_thread(until, lambda: pruned("outcomes") == 1)
        assert pruned("exposures") == 5
        assert count(experiments.engine) == 5

    with_runtime(tmp_path, scenario, keep=timedelta(days=4.5))


def test_what_a_declared_experiment_rests_on_stays(tmp_path: Path) -> None:
    async def declare(experiments: Experiments, _: CollectorRegistry) -> None:
        await experiments.declare(DECLARED)

    with_runtime(tmp_path, declare)
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    began = datetime(2026, 1, 1, tzinfo=UTC)
    write(engine, [exposure(n, at=began + timedelta(days=n - 3)) for n in range(10)])
    engine.dispose()

    async def scenario(experiments: Experiments, registry: CollectorRegistry) -> None:
        await asyncio.to_thread(until, lambda: count(experiments.engine) == 7)

    with_runtime(tmp_path, scenario, keep=timedelta(days=1))


def test_a_database_that_forgets_nothing_is_logged_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(experiments: Experiments, registry: CollectorRegistry) -> None:
        with transaction(experiments.engine) as connection:
            connection.execute(text("DROP TABLE outcomes"))
        await experiments._prune(timedelta(days=1))
        assert registry.get_sample_value("nestling_store_prune_errors_total") == 1
        assert "too old stays for another hour: store: sqlite" in caplog.text
        assert experiments.assign(lambda _: "user-1") == ()

    with_runtime(tmp_path, scenario)
