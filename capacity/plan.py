"""The plan: what each policy needs on some hardware, for each rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..models.checkpoint.manifest import Manifest
from ..models.progress import SILENT, Progress
from ..server.settings import Settings
from .capacity import Capacity, capacity
from .errors import PlanError
from .profile.costs import Costs
from .profile.estimate import Estimate
from .profile.profile import Profile
from .simulation.run import SimulationInput
from .traffic import Shape

SECONDS_PER_HOUR, MILLION = 3600, 1e6


@dataclass(frozen=True)
class PlanRequest:
    """What is to be planned for.

    rates: requests per second, means over the whole trace. objective: seconds, for 99 % of the
    requests. headroom: share of what a replica holds that is left free. spare: replicas beyond
    those needed, for those that fail. price_per_hour: of one machine. per_machine: replicas that
    share it, and its device, in equal parts.
    """

    rates: tuple[float, ...]
    objective: float
    headroom: float = 0.2
    spare: int = 1
    price_per_hour: float = 0.0
    per_machine: int = 1

    def __post_init__(self) -> None:
        for rate in self.rates:
            _above("rate", rate)
        _above("objective-ms", 1e3 * self.objective)
        if not 0 <= self.headroom < 1:
            raise PlanError(f"headroom: {self.headroom:g} is not from 0 to below 1")


@dataclass(frozen=True)
class Deployment:
    """For one rate. replicas: with the spare ones. http, device: how busy each is at the peak, the
    spare ones serving too. per_million: price of a million requests, at the mean rate.
    """

    rate: float
    replicas: int
    machines: int
    http: float
    device: float
    per_million: float


@dataclass(frozen=True)
class Planned:
    """One policy on one hardware. guess: which, of an estimate; "" of what was measured."""

    model: str
    guess: str
    held: Capacity
    fleets: tuple[Deployment, ...]


def plan(
    manifest: Manifest,
    settings: Settings,
    hardware: Profile | Estimate,
    host: Profile,
    shape: Shape,
    models: Sequence[str],
    wish: PlanRequest,
    seed: int,
    progress: Progress = SILENT,
) -> list[Planned]:
    """Every policy with every guess. host: the hardware itself, where it was measured.

    Raises PlanError where no number of replicas will do.
    """
    found = []
    for guess, costs in _costs(manifest, hardware, host, wish.per_machine):
        for model in models:
            scene = SimulationInput(manifest, settings, costs, host.workload, model)
            phase = f"simulating {model}{guess and f', {guess}'}"
            held = capacity(scene, shape, wish.objective, seed, progress, phase)
            fleets = tuple(_fleet(rate, held, shape.peak, wish) for rate in wish.rates)
            found.append(Planned(model, guess, held, fleets))
    return found


def _costs(
    manifest: Manifest, hardware: Profile | Estimate, host: Profile, sharing: int
) -> Iterator[tuple[str, Costs]]:
    if isinstance(hardware, Estimate):
        for guess in hardware.guesses:
            yield guess.name, hardware.costs(guess, manifest, host, sharing)
    elif hardware.device == "cpu":
        yield "", hardware.costs  # each replica has as many cores as were measured
    else:
        yield "", hardware.costs.shared(sharing)


def _fleet(rate: float, held: Capacity, peak: float, wish: PlanRequest) -> Deployment:
    needed = math.ceil(rate * peak / (held.rate * (1 - wish.headroom)))
    replicas = needed + wish.spare
    machines = math.ceil(replicas / wish.per_machine)
    share = rate * peak / replicas / held.rate  # of what one holds
    requests = rate * SECONDS_PER_HOUR
    return Deployment(
        rate,
        replicas,
        machines,
        share * held.found.http,
        share * held.found.worker,
        machines * wish.price_per_hour * MILLION / requests,
    )


def _above(field: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise PlanError(f"{field}: {value:g} is not a finite number above 0")
