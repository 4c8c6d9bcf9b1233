"""What running experiments tell whoever keeps metrics."""

from __future__ import annotations

from typing import Protocol

from .definition import ExperimentPlan
from .statistics.report import Report
from .store.writer import Writer


class ExperimentTelemetry(Protocol):
    """Belongs to the event loop."""

    def watch(self, writer: Writer) -> None:
        """The writer whose counts are of interest from now on."""

    def declared(self, plan: ExperimentPlan) -> None:
        """This plan holds now."""

    def exposed(self, experiment: str, variant: str) -> None:
        """A request met a variant."""

    def analysed(self, report: Report) -> None:
        """The numbers of an experiment were looked at."""

    def pruned(self, exposures: int, outcomes: int) -> None:
        """So many rows were too old, and are gone."""

    def prune_failed(self) -> None:
        """Rows that are too old could not be deleted."""
