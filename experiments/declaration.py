"""The file of experiments: one model that is its schema, its check and its page in OpenAPI.

`field_checks` has what pydantic does not know of a field, `problems` the words of pydantic's own
errors, `conflicts` what holds between experiments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from ..models.limits import NAME
from . import field_checks as checks
from .definition import Experiment, Guardrail, Source, Unit
from .errors import shown
from .metrics import GUARDED, Better, Kind
from .records import METRIC
from .statistics.summary import LARGEST

MOST = 100
"""Experiments, and layers."""
HEAVIEST = 10_000
"""Weight of a variant; so that the 2³² values of the hash fall on all shares evenly."""

LEFT_OUT: Any = None
"""Of a field whose check knows what to take instead."""


def between(low: float, high: float) -> Any:
    return Field(ge=low, le=high, allow_inf_nan=False)


def one_of(known: Iterable[str]) -> WithJsonSchema:
    """What the schema says of a field whose check has words of its own for other values."""
    return WithJsonSchema({"type": "string", "enum": [str(each) for each in known]})


KNOWN_OF_MEASURED = BeforeValidator(checks.as_measured)
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Fraction = Annotated[float, between(0, 1)]
Share = Annotated[Fraction, AfterValidator(checks.whole_buckets)]
"""Of a layer or of the enrolled units."""
Confidence = Annotated[float, between(0.5, 0.9999)]
Time = Annotated[datetime, BeforeValidator(checks.time)]


class Declared(BaseModel):
    """One mapping of the file. A null counts as left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = cls.model_fields
        return {key: each for key, each in value.items() if each is not None or key not in known}


class DeclaredLayer(Declared):
    name: Name
    salt: Name | None = None


class DeclaredHeader(Declared):
    header: Annotated[Name, AfterValidator(checks.no_secret)]


def _unit(value: object, info: checks.Info) -> Unit:
    if isinstance(value, Mapping):
        read = DeclaredHeader.model_validate(value, context=info.context)
        return Unit(Source.HEADER, read.header)
    if value in (Source.USER.value, Source.REQUEST.value):
        return Unit(Source(str(value)))
    raise ValueError(f"{shown(value)} is none of user, request, {{header: NAME}}")


class DeclaredVariant(Declared):
    name: Name
    weight: int = Field(ge=1, le=HEAVIEST)
    policy: Annotated[str | None, BeforeValidator(checks.policy)] = None
    thresholds: Annotated[tuple[Fraction, ...] | None, BeforeValidator(checks.one_per_stage)] = None
    runner: Annotated[str | None, BeforeValidator(checks.runner)] = None


class DeclaredMetric(Declared):
    metric: str = Field(pattern=f"^{METRIC.pattern}$")
    kind: Annotated[Kind, KNOWN_OF_MEASURED, one_of(Kind)] = LEFT_OUT
    better: Annotated[Better, KNOWN_OF_MEASURED, one_of(Better)] = LEFT_OUT
    smallest_effect: Annotated[float, between(1e-12, LARGEST), BeforeValidator(checks.effect)]


Bound = Annotated[Annotated[float, between(0, LARGEST)] | None, BeforeValidator(checks.bound)]


class DeclaredGuardrail(Declared):
    metric: Annotated[
        str,
        BeforeValidator(partial(checks.one_of, known=GUARDED)),
        one_of(GUARDED),
    ]
    margin: Annotated[Bound, AfterValidator(checks.margin)] = None
    limit: Annotated[Bound, AfterValidator(checks.limit)] = None
    confidence: Confidence = Guardrail.confidence


class DeclaredExperiment(Declared):
    name: Name
    salt: Name | None = None
    unit: Annotated[
        Unit,
        PlainValidator(_unit, json_schema_input_type=DeclaredHeader | Literal["user", "request"]),
    ]
    layer: Annotated[str | None, BeforeValidator(checks.layer)] = None
    owns: Annotated[
        list[Share], Field(min_length=2, max_length=2), AfterValidator(checks.owned)
    ] = [0, 1]
    enrolled: Annotated[Share | None, AfterValidator(checks.enrolled)] = None
    phase: Name = "first"
    variants: list[DeclaredVariant] = Field(min_length=2, max_length=20)
    start: Time
    end: Annotated[Time | None, AfterValidator(checks.end)] = None
    primary: DeclaredMetric
    guardrails: list[DeclaredGuardrail] = Field([], max_length=20)
    confidence: Confidence = Experiment.confidence
    planned_units: int = Field(Experiment.planned_units, ge=100, le=10**9)
    paired: Annotated[Share, AfterValidator(checks.paired)] = Experiment.paired


class Declaration(Declared):
    """All experiments, and the layers that they share."""

    layers: list[DeclaredLayer] = Field([], max_length=MOST)
    experiments: list[DeclaredExperiment] = Field([], max_length=MOST)
