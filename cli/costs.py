"""`--cost`: what calibration minimises, by a stated model and never by this machine's clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.errors import NestlingError

if TYPE_CHECKING:
    from ..capacity.profile.profile import Profile
    from ..models.calibration.cost import TimeModel
    from ..models.checkpoint.manifest import Manifest
    from ..models.latency.model import LatencyModel
    from ..models.precision import Precision

FLOPS, TIME = "flops", "time"
CostOption = Annotated[
    str,
    typer.Option(help="What is minimised: flops, or time as --profile has it."),
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(
        help="With --cost time: what `nestling plan measure --out` has written.",
        show_default="none",
    ),
]


def time_model(
    cost: str, profile: Path | None, manifest: Manifest, precision: Precision
) -> TimeModel | None:
    """Seconds of a text in a full batch, by the profile; None where FLOPs are minimised.

    Raises NestlingError that names the option at fault, PlanError for a file that is no profile of
    these weights.
    """
    found = _profile(cost, profile, manifest)
    if found is None or profile is None:
        return None
    if found.computed_in != precision:
        raise NestlingError(
            f"profile: {profile} was measured in {found.computed_in}; {precision} is calibrated"
        )
    from ..models.calibration.cost import TextSeconds, TimeModel
    from ..models.checkpoint.integrity import sha256_of
    from ..models.evaluation.timing import BATCH

    costs = found.costs.worker.students
    if missing := [name for name in manifest.students if name not in costs]:
        raise NestlingError(f"profile: {profile} has no {', '.join(missing)}")
    seconds = {
        name: TextSeconds(cost.fixed / BATCH + cost.text, cost.token)
        for name, cost in costs.items()
    }
    return TimeModel(seconds, sha256_of(profile))


def latency_model(cost: str, profile: Path | None, manifest: Manifest) -> LatencyModel | None:
    """Seconds of any student, by the profile and in its precision; None where FLOPs count.

    Raises NestlingError and PlanError as `time_model` does.
    """
    found = _profile(cost, profile, manifest)
    if found is None:
        return None
    from ..models.latency.model import LatencyModel

    if not found.timings:
        raise NestlingError(
            f"profile: {profile} was measured before profiles told how long other students take; "
            "`nestling plan measure` again"
        )
    return LatencyModel.fitted(manifest.architecture, found.timings)


def _profile(cost: str, profile: Path | None, manifest: Manifest) -> Profile | None:
    """Of these weights; None where FLOPs count."""
    if cost not in (FLOPS, TIME):
        raise NestlingError(f"cost: {cost!r} is none of {FLOPS}, {TIME}")
    if (cost == TIME) != (profile is not None):
        raise NestlingError("cost: time takes a --profile, and nothing else does")
    if profile is None:
        return None
    from ..capacity.profile.library import read
    from ..capacity.profile.profile import Profile

    found = read(profile)
    if not isinstance(found, Profile):
        raise NestlingError(f"profile: {profile} is an estimate; a measured one is needed")
    found.check_weights(manifest)
    return found
