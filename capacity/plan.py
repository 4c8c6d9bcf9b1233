"""The plan: what each policy needs on some hardware, for each rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..models.checkpoint.manifest import Manifest
from ..models.progress import SILENT, Progress
from ..server.settings import Settings
from .bounds import Capacity, find_capacity
from .errors import PlanError
from .profile.costs import Costs
from .profile.estimate import Estimate
from .profile.profile import Profile
from .simulation.inputs import SimulationInput
from .traffic import Shape

SECONDS_PER_HOUR, MILLION = 3600, 1e6


@dataclass(frozen=True)
class PlanRequest:
    """The traffic to plan for, and the terms.

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
    """What one rate needs. replicas: with the spare ones. http, device: how busy each process of a
    replica is at the peak, when the spare ones serve too. per_million: price of a million requests,
    at the mean rate.
    """

    rate: float
    replicas: int
    machines: int
    http: float
    device: float
    per_million: float


@dataclass(frozen=True)
class PlannedPolicy:
    """One policy on one hardware. guess: the estimate's; "" where the hardware was measured."""

    model: str
    guess: str
    capacity: Capacity
    deployments: tuple[Deployment, ...]


def plan(
    manifest: Manifest,
    settings: Settings,
    hardware: Profile | Estimate,
    host: Profile,
    shape: Shape,
    models: Sequence[str],
    request: PlanRequest,
    seed: int,
    progress: Progress = SILENT,
) -> list[PlannedPolicy]:
    """Every policy with every guess. host: the same hardware, where that was measured.

    Raises PlanError where no number of replicas will do.
    """
    found = []
    for guess, costs in _costs(manifest, hardware, host, request.per_machine):
        for model in models:
            inputs = SimulationInput(manifest, settings, costs, host.workload, model)
            phase = f"simulating {model}{guess and f', {guess}'}"
            capacity = find_capacity(inputs, shape, request.objective, seed, progress, phase)
            deployments = tuple(
                _deployment(rate, capacity, shape.peak, request) for rate in request.rates
            )
            found.append(PlannedPolicy(model, guess, capacity, deployments))
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


def _deployment(rate: float, capacity: Capacity, peak: float, request: PlanRequest) -> Deployment:
    needed = math.ceil(rate * peak / (capacity.rate * (1 - request.headroom)))
    replicas = needed + request.spare
    machines = math.ceil(replicas / request.per_machine)
    share = rate * peak / replicas / capacity.rate  # of what one holds
    requests = rate * SECONDS_PER_HOUR
    return Deployment(
        rate,
        replicas,
        machines,
        share * capacity.summary.http,
        share * capacity.summary.worker,
        machines * request.price_per_hour * MILLION / requests,
    )


def _above(field: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise PlanError(f"{field}: {value:g} is not a finite number above 0")
