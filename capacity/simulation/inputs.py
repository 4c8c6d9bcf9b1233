"""What a simulation is given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...models.checkpoint.manifest import Manifest
from ...server.settings import Settings
from ..profile.costs import Costs
from ..profile.workload import Workload


@dataclass(frozen=True)
class SimulationInput:
    """One server, its texts, and what they cost it.

    model: what requests ask for, as in their `model` field. beside: whether the client runs on the
    core of the server's worker.
    """

    manifest: Manifest
    settings: Settings
    costs: Costs
    workload: Workload
    model: str = "auto"
    beside: bool = False

    def without_brownout(self) -> SimulationInput:
        """The same server, which never shortens a cascade."""
        return replace(self, settings=replace(self.settings, target_delay_ms=0))
