"""What an experiment remembers: that a request met a variant, and what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple, Self, TypeGuard

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails

from ..models.json_checks import refusal, wrong_type
from ..models.nested.head_spec import MOST_LABELS
from .metrics import MEASURED

LONGEST_NAME = 128
"""Characters of an id, a unit, an experiment, a variant."""
LONGEST_LABEL = 256
MOST_PATHS = 32
"""Texts of one request whose paths are kept: an exposure is a record, not a data set."""
LARGEST = 1e12
"""Of an outcome's value: squares of such values still add up in float64 without overflow."""
LABEL = "label"
"""The metric whose value is a string: what the answer should have been."""
METRIC = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
BLANKS = " \t\r\n"
"""Around an id or a unit they are no part of it."""
_STORABLE = re.compile(r"[^\x00\ud800-\udfff]*")
"""PostgreSQL stores no NUL; nothing stores half of a surrogate pair."""


def is_storable(text: str) -> bool:
    """Whether every database that can keep the record takes it."""
    return _STORABLE.fullmatch(text) is not None


def is_unit(text: str | None) -> TypeGuard[str]:
    """Whether it can be what is assigned: neither too long nor beyond what a database stores."""
    return text is not None and 0 < len(text) <= LONGEST_NAME and is_storable(text)


def _storable(text: str) -> str:
    if not is_storable(text):
        raise refusal("out_of_range", "holds a NUL or half of a surrogate pair")
    return text


Id = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_storable)]


class StudentAsked(NamedTuple):
    """One student's answer on the way of one text. confidence: calibrated, 0 to 1."""

    student: str
    label: str
    confidence: float


@dataclass(frozen=True)
class Exposure:
    """A request met a variant. Raises ValueError that names field, value and limit.

    request_id: by which outcomes find it. phase: the stretch of the experiment, in which nobody
    changes variant. unit: what was assigned. at: with time zone. latency_seconds: of
    the whole request. relative_cost, flops, escalations: summed over its texts; a text's cost is
    relative to the TA alone, and it escalates each time that it is passed on. cost: money. status:
    of HTTP; from 400 on it is an error. student, label, confidence: of the first text's answer;
    None where there is none; the label is `out_of_scope` where a policy has abstained. path: of at
    most 32 texts, whom each asked, in that order. paired: whether both arms ran; then each has an
    exposure. served: whether this arm's answer was the client's. covariate: what was known of the
    unit before the experiment. version: of the weights and thresholds by which the first text was
    answered.
    """

    request_id: str
    experiment: str
    phase: str
    variant: str
    unit: str
    at: datetime
    texts: int
    latency_seconds: float
    relative_cost: float
    cost: float
    flops: float
    escalations: int
    status: int
    student: str | None = None
    label: str | None = None
    confidence: float | None = None
    brownout: int = 0
    path: Sequence[Sequence[StudentAsked]] = ()
    paired: bool = False
    served: bool = True
    covariate: float | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        for field in ("request_id", "experiment", "phase", "variant", "unit"):
            value = getattr(self, field)
            if not is_unit(value):
                limits = f"1 to {LONGEST_NAME} characters, none of them a NUL"
                raise ValueError(f"{field}: {value!r} is not a text of {limits}")
        for field, high in _HIGHEST.items():
            value = getattr(self, field)
            if not 0 <= value <= high:  # NaN is not, either
                raise ValueError(f"{field}: {value} is not between 0 and {high:g}")
        if self.at.tzinfo is None:
            raise ValueError(f"at: {self.at.isoformat()} has no time zone")
        if self.covariate is not None and not abs(self.covariate) <= LARGEST:
            raise ValueError(f"covariate: {self.covariate} is not within ±{LARGEST:g}")
        if len(self.path) > MOST_PATHS:
            raise ValueError(f"path: {len(self.path)} texts; the limit is {MOST_PATHS}")


_HIGHEST = {
    "texts": 1e6,
    "latency_seconds": LARGEST,
    "relative_cost": LARGEST,
    "cost": LARGEST,
    "flops": 1e24,
    "escalations": 1e6,
    "status": 599,
}


Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL), AfterValidator(_storable)]
_STRICT = ConfigDict(strict=True)
LABELS = TypeAdapter(Label, config=_STRICT)
SETS = TypeAdapter(list[Label], config=_STRICT)
"""The right answer where a text may have several labels; an empty list is that none holds."""


def _given(id: Any) -> Any:
    return "" if id is None else id


def _without_blanks(value: Any) -> Any:
    return value.strip(BLANKS) if isinstance(value, str) else value


def _metric(metric: str) -> str:
    if not METRIC.fullmatch(metric):
        raise refusal("out_of_range", f"{metric!r} is not of the form {METRIC.pattern}")
    if metric in MEASURED:
        raise refusal("out_of_range", f"{metric!r} is measured by the server itself")
    return metric


def _value(value: Any, info: ValidationInfo) -> float | str | tuple[str, ...]:
    if info.data.get("metric") == LABEL:
        if isinstance(value, list):
            if len(value) > MOST_LABELS["multi_label"]:
                limit = MOST_LABELS["multi_label"]
                raise refusal("out_of_range", f"{len(value)} labels; the limit is {limit}")
            return tuple(sorted(set(SETS.validate_python(value))))
        return LABELS.validate_python(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type("a number", value)
    if not -LARGEST <= value <= LARGEST:  # NaN is not, either
        too_long = isinstance(value, int) and value.bit_length() > 1000  # for a float64
        said = "a huge integer" if too_long else format(value, "g")
        limits = f"at least {-LARGEST:g} and at most {LARGEST:g}"
        raise refusal("out_of_range", f"{said}; it must be finite, {limits}")
    return value


def _time(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            message = f"{value[:40]!r} is not a time in ISO 8601"
            raise refusal("out_of_range", message) from None
    if value is not None and not isinstance(value, datetime):
        raise wrong_type("a string", value)
    if value is not None and value.tzinfo is None:
        raise refusal("out_of_range", f"{value.isoformat()} has no time zone")
    return value


class Outcome(BaseModel):
    """What came of a request or of a unit. Raises ValidationError that names field and limit.

    metric: `label` with the right answer, `reward`, or any other name with a number of at most 1e12
    in magnitude. value: that number, or a label; a list of labels where a text may have several,
    whose order and repetitions do not matter. Either request_id, or experiment and unit; blanks
    around an id or a unit are not part of it. at: ISO 8601 with zone; by default when it arrives.
    id: by which it counts once, however often it is sent; by default made of request or unit,
    metric and `at`. A null counts as left out.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: Annotated[Id, BeforeValidator(_given, json_schema_input_type=Id | None)] = ""
    metric: Annotated[Name, AfterValidator(_metric)]
    value: Annotated[
        float | str | tuple[str, ...],
        PlainValidator(_value, json_schema_input_type=float | str | list[str]),
    ]
    request_id: Annotated[Name | None, BeforeValidator(_without_blanks)] = None
    experiment: Name | None = None
    unit: Annotated[Name | None, BeforeValidator(_without_blanks)] = None
    at: Annotated[datetime | None, BeforeValidator(_time)] = None

    @model_validator(mode="after")
    def _target(self) -> Self:
        if self.request_id is None:
            if self.experiment is None or self.unit is None:
                self._refuse("request_id", "missing_field", "missing; or name experiment and unit")
            if self.metric == LABEL:
                self._refuse("request_id", "missing_field", "missing; a label belongs to a request")
        elif self.experiment is not None or self.unit is not None:
            field = "unit" if self.experiment is None else "experiment"
            self._refuse(field, "unknown_field", "beside a request_id, which has its own")
        if not self.id:
            object.__setattr__(self, "id", self._derived_id())
        return self

    @property
    def stored(self) -> float | str:
        """The value as the record keeps it: labels in one text, as exposures have them."""
        if isinstance(self.value, tuple):
            return json.dumps(self.value, ensure_ascii=False)
        return self.value

    def _refuse(self, field: str, reason: str, message: str) -> None:
        error = InitErrorDetails(
            type=refusal(reason, message), loc=(field,), input=getattr(self, field)
        )
        raise ValidationError.from_exception_data(type(self).__name__, [error])

    def _derived_id(self) -> str:
        parts = (self.request_id, self.experiment, self.unit, self.metric, self.at)
        # repr of each part, so that no two tuples give the same bytes
        return blake2b(repr([str(part) for part in parts]).encode(), digest_size=16).hexdigest()
