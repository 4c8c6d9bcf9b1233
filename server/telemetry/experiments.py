"""Metrics of experiments and of their record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from ...experiments.definition import ExperimentPlan
from ...experiments.statistics.missing import levels
from ...experiments.statistics.report import Report
from ...experiments.statistics.verdict import Conclusion

if TYPE_CHECKING:
    from ...experiments.store.writer import Writer  # with all of the database


class ExperimentMetrics:
    """All series of experiments that are declared are there from their declaration on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._exposures = Counter(
            "nestling_experiment_exposures_total",
            "Requests that met a variant.",
            ("experiment", "variant"),
            registry=registry,
        )
        self._mismatch = Gauge(
            "nestling_experiment_sample_ratio_mismatch",
            "1 if the variants do not have the numbers of units that their weights say.",
            ("experiment",),
            registry=registry,
        )
        self._attrition = Gauge(
            "nestling_experiment_attrition",
            "1 if one variant lacks more than another of what was to be seen of a metric.",
            ("experiment", "metric"),
            registry=registry,
        )
        self._stopped = Gauge(
            "nestling_experiment_stopped",
            "1 if a guardrail has stopped the variant.",
            ("experiment", "variant"),
            registry=registry,
        )
        self._units = Gauge(
            "nestling_experiment_units",
            "Units of the present phase, as last judged.",
            ("experiment", "variant"),
            registry=registry,
        )
        pruned = Counter(
            "nestling_store_pruned_total",
            "Rows deleted because of their age.",
            ("table",),
            registry=registry,
        )
        self._pruned = [pruned.labels(table) for table in ("exposures", "outcomes")]
        self._prune_errors = Counter(
            "nestling_store_prune_errors_total",
            "Times that rows which are too old could not be deleted.",
            registry=registry,
        )

    def watch(self, writer: Writer) -> None:
        """Have the writer's counts read on each scrape."""
        self._registry.register(_WriterCounts(writer))
        buffered = Gauge(
            "nestling_exposures_buffered",
            "Exposures that wait to be written.",
            registry=self._registry,
        )
        buffered.set_function(lambda: writer.buffered)
        up = Gauge(
            "nestling_store_up",
            "1 if the database takes what it is given.",
            registry=self._registry,
        )
        up.set_function(lambda: writer.up)

    def declared(self, plan: ExperimentPlan) -> None:
        """Series for all that is declared."""
        for experiment in plan.experiments:
            self._mismatch.labels(experiment.name)
            for metric in levels(experiment):
                self._attrition.labels(experiment.name, metric)
            for variant in experiment.variants:
                self._exposures.labels(experiment.name, variant.name)
                self._stopped.labels(experiment.name, variant.name)
                self._units.labels(experiment.name, variant.name)

    def exposed(self, experiment: str, variant: str) -> None:
        """A request met a variant."""
        self._exposures.labels(experiment, variant).inc()

    def pruned(self, exposures: int, outcomes: int) -> None:
        """So many rows were too old, and are gone."""
        for counter, rows in zip(self._pruned, (exposures, outcomes), strict=True):
            counter.inc(rows)

    def prune_failed(self) -> None:
        """Rows that are too old could not be deleted."""
        self._prune_errors.inc()

    def analysed(self, report: Report) -> None:
        """The numbers were looked at."""
        wrong = report.verdict.outcome is Conclusion.SAMPLE_RATIO
        self._mismatch.labels(report.experiment).set(wrong)
        for each in report.attrition:
            self._attrition.labels(report.experiment, each.metric).set(each.found)
        for variant in report.variants:
            self._stopped.labels(report.experiment, variant.name).set(variant.stopped is not None)
            self._units.labels(report.experiment, variant.name).set(variant.enrolled)


class _WriterCounts(Collector):
    """Counters that the writer keeps itself."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def collect(self) -> list[CounterMetricFamily]:
        return [
            CounterMetricFamily(name, text, value=getattr(self._writer, field))
            for name, text, field in (
                ("nestling_exposures_written", "Exposures in the database.", "written"),
                ("nestling_exposures_dropped", "Exposures that were lost.", "dropped"),
            )
        ]
