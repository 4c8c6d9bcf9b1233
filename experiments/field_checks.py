"""What a field of a declaration may hold, by itself and beside the fields before it.

These are validators for pydantic: each returns the value, or raises ValueError with the words for
whoever wrote the declaration. `info.data` holds the fields before it that are right by themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from ..models.precision import Precision
from ..models.precision import pinned as pinned_precision
from ..models.runners import PINNABLE
from .definition import BUCKETS, BucketRange
from .errors import shown
from .metrics import GUARDED, MEASURED, Better, Kind
from .secrets import is_secret

if TYPE_CHECKING:
    from pydantic import ValidationInfo

    Info = ValidationInfo["Known"]


@dataclass(frozen=True)
class Known:
    """What a declaration may name. policies: by name, how many thresholds each has: one per stage
    but the last. runners: those that can be pinned. labels: that an answer may have. several:
    whether it may have any number of them. layers: those that are declared beside the experiments.
    stored: whether an earlier version has taken the declaration, which allowed units that are
    secrets. precision: that of the policies' thresholds; None for what a server has taken already.
    """

    policies: Mapping[str, int]
    runners: Collection[str] = PINNABLE
    labels: Collection[str] = ()
    several: bool = False
    layers: Collection[str] = ()
    stored: bool = False
    precision: Precision | None = None


def one_of(value: object, known: Collection[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{shown(value)} is none of {', '.join(name[:64] for name in known)}")
    return value


def whole_buckets(share: float) -> float:
    if abs(share * BUCKETS - round(share * BUCKETS)) > 1e-6:
        raise ValueError(f"{shown(share)} is not a multiple of {1 / BUCKETS:g}")
    return share


def time(value: object) -> datetime:
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError(f"{shown(value)} is not a time such as 2026-12-01T09:00:00Z")
    if value.utcoffset() is None:
        raise ValueError(f"{value.isoformat()} has no zone: write {value.isoformat()}Z for UTC")
    return value


def no_secret(header: str, info: Info) -> str:
    header = header.lower()
    if is_secret(header) and not info.context.stored:
        raise ValueError(
            f"{header!r} holds a secret, and the unit is recorded as it comes; take a header that "
            "names the user and lets nobody in"
        )
    return header


def policy(value: object, info: Info) -> str | None:
    return None if value is None else one_of(value, info.context.policies)


def one_per_stage(value: Any, info: Info) -> tuple[object, ...] | None:
    if value is None or "policy" not in info.data:  # of a wrong policy nothing is known
        return None
    policy = info.data["policy"]
    if policy is None:
        raise ValueError("are of a cascade; name it as the policy")
    needed = info.context.policies[policy]
    if not isinstance(value, list) or len(value) != needed or not needed:
        has = f"{len(value)} numbers" if isinstance(value, list) else shown(value)
        raise ValueError(f"{has}, but {policy!r} has {needed}: one per stage but the last")
    return tuple(value)


def runner(value: object, info: Info) -> str | None:
    policy = info.data.get("policy", "")  # a wrong policy is not there
    if value is None:
        if policy is None:
            message = "is missing; a variant has a policy, a runner or both"
            raise PydanticCustomError("beside", message, {"field": "policy"})
        return None
    value = one_of(value, info.context.runners)
    served = info.context.precision
    if served is None or (policy is not None and not info.context.policies.get(policy)):
        return value
    if (own := pinned_precision(value, served)) != served:
        raise ValueError(
            f"{value!r} serves a student alone; it computes in {own}, and the thresholds of this "
            f"server were calibrated on {served} logits"
        )
    return value


def as_measured(value: object, info: Info) -> object:
    """A metric's kind, or which direction is better; declared where the server does not know it."""
    field, metric = str(info.field_name), MEASURED.get(info.data.get("metric", ""))
    if metric is None:
        if value is None:
            raise ValueError("is missing")
        choices: type[StrEnum] = {"kind": Kind, "better": Better}[field]
        return choices(one_of(value, list(choices)))
    fixed: StrEnum = getattr(metric, field)
    if value not in (None, fixed.value):
        raise ValueError(f"{shown(value)}, but {metric.name} is {fixed.value!r}")
    return fixed


def of_a_rate(value: object, low: float) -> object:
    """The limits of a difference or a bound are narrower where the metric is a rate."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is not a number from {low:g} to 1")
    if not low <= value <= 1:  # NaN is not, either
        raise ValueError(f"{shown(value)} is not between {low:g} and 1")
    return value


def effect(value: object, info: Info) -> object:
    return of_a_rate(value, 1e-12) if info.data.get("kind") is Kind.RATE else value


def bound(value: object, info: Info) -> object:
    metric = GUARDED.get(info.data.get("metric", ""))
    is_rate = metric is not None and metric.metric.kind is Kind.RATE
    return of_a_rate(value, 0) if is_rate and value is not None else value


def margin(margin: float | None, info: Info) -> float | None:
    metric = GUARDED.get(info.data.get("metric", ""))
    if margin is not None and metric and metric.quantile:
        raise ValueError(f"{metric.name} is held against a limit only")
    return margin


def limit(limit: float | None, info: Info) -> float | None:
    read = info.data
    if {"metric", "margin"} <= read.keys() and (limit is None) == (read["margin"] is None):
        raise ValueError("a guardrail has either a limit or a margin against control")
    return limit


def layer(value: object, info: Info) -> str | None:
    name, layers = info.data.get("name"), info.context.layers
    if value is not None:
        if not layers:
            raise ValueError(f"{shown(value)} is not declared: there are no names under layers")
        return one_of(value, layers)
    if name in layers:
        raise ValueError(
            f"is missing, and the layer {name!r}, which would be its own, is declared for others"
        )
    return None


def owned(ends: list[float]) -> list[float]:
    if ends[0] >= ends[1]:
        raise ValueError(
            f"{BucketRange.of(*ends)} is empty; it goes from its first number up to its second"
        )
    return ends


def enrolled(share: float | None, info: Info) -> float | None:
    width = BucketRange.of(*info.data.get("owns", (0, 1))).width
    if share is not None and round(share * BUCKETS) > width:
        raise ValueError(
            f"{share:g} of the layer is more than the {width / BUCKETS:g} that the experiment owns"
        )
    return share


def end(end: datetime | None, info: Info) -> datetime | None:
    start = info.data.get("start")
    if start and end and end <= start:
        raise ValueError(f"{end.isoformat()} is not after the start, {start.isoformat()}")
    return end


def paired(share: float, info: Info) -> float:
    count = len(info.data.get("variants", ()))
    if share and count > 2:
        raise ValueError(
            f"{share:g} of the units by both variants, of which there are {count}; it takes 2"
        )
    return share
