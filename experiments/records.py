"""What an experiment remembers: that a request met a variant, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple, TypeGuard

from ..models.json_kinds import kind
from ..server.errors import Reason, RequestError
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
_NUMBERS = (int, float)
_STORABLE = re.compile(r"[^\x00\ud800-\udfff]*")
"""PostgreSQL stores no NUL; nothing stores half of a surrogate pair."""


class StudentAsked(NamedTuple):
    """One student's answer on the way of one text. confidence: calibrated, 0 to 1."""

    student: str
    label: str
    confidence: float


@dataclass(frozen=True)
class Exposure:
    """A request met a variant. Raises RequestError that names field, value and limit.

    request_id: by which outcomes find it. phase: the stretch of the experiment, in which nobody
    changes variant. unit: what was assigned. at: with time zone. latency_seconds: of
    the whole request. relative_cost, flops, escalations: summed over its texts; a text's cost is
    relative to the TA alone, and it escalates each time that it is passed on. cost: money. status:
    of HTTP; from 400 on it is an error. student, label, confidence: of the first text's answer;
    None where there is none. path: of at most 32 texts, whom each asked, in that order. paired:
    whether both arms ran; then each has an exposure. served: whether this arm's answer was the
    client's. covariate: what was known of the unit before the experiment.
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

    def __post_init__(self) -> None:
        for field in ("request_id", "experiment", "phase", "variant", "unit"):
            _check_text(field, getattr(self, field), LONGEST_NAME)
        _check_time("at", self.at)
        for field, high in _RANGES:
            _check_number(field, getattr(self, field), 0, high)
        if self.covariate is not None:
            _check_number("covariate", self.covariate, -LARGEST, LARGEST)
        if len(self.path) > MOST_PATHS:
            raise RequestError(
                Reason.TOO_MANY, f"{len(self.path)} texts; the limit is {MOST_PATHS}", "path"
            )


_RANGES = (
    ("texts", 1e6),
    ("latency_seconds", LARGEST),
    ("relative_cost", LARGEST),
    ("cost", LARGEST),
    ("flops", 1e24),
    ("escalations", 1e6),
    ("status", 599),
)


@dataclass(frozen=True)
class Outcome:
    """What came of a request or of a unit. Raises RequestError that names field, value and limit.

    metric: `label` with a string, the right answer of a request; `reward`, or any name of the form
    `[a-z][a-z0-9_.-]{0,63}` that the server does not measure itself, with a number of at most 1e12
    in magnitude. Either request_id, or experiment and unit. at: with time zone; None is when it
    arrives. id: by which it counts once, however often it is sent; without one it is made of
    request or unit, metric and `at`.
    """

    metric: str
    value: float | str
    request_id: str | None = None
    experiment: str | None = None
    unit: str | None = None
    at: datetime | None = None
    id: str = ""

    def __post_init__(self) -> None:
        self._check_target()
        _check_text("metric", self.metric, LONGEST_NAME)
        if not METRIC.fullmatch(self.metric):
            raise RequestError(
                Reason.OUT_OF_RANGE,
                f"{self.metric!r} is not of the form {METRIC.pattern}",
                "metric",
            )
        if self.metric in MEASURED:
            raise RequestError(
                Reason.OUT_OF_RANGE, f"{self.metric!r} is measured by the server itself", "metric"
            )
        if self.metric == LABEL:
            _check_text("value", self.value, LONGEST_LABEL)
        else:
            _check_number("value", self.value, -LARGEST, LARGEST)
        if self.at is not None:
            _check_time("at", self.at)
        if self.id != "":
            _check_text("id", self.id, LONGEST_NAME)
        else:
            object.__setattr__(self, "id", self._derived_id())

    def _check_target(self) -> None:
        if self.request_id is None and (self.experiment is None or self.unit is None):
            raise RequestError(
                Reason.MISSING_FIELD, "missing; or name experiment and unit", "request_id"
            )
        for field in ("request_id", "experiment", "unit"):
            if (value := getattr(self, field)) is not None:
                _check_text(field, value, LONGEST_NAME)
                if field != "request_id" and self.request_id is not None:
                    raise RequestError(
                        Reason.UNKNOWN_FIELD, "beside a request_id, which has its own", field
                    )
        if self.metric == LABEL and self.request_id is None:
            raise RequestError(
                Reason.MISSING_FIELD, "missing; a label belongs to a request", "request_id"
            )

    def _derived_id(self) -> str:
        parts = (self.request_id, self.experiment, self.unit, self.metric, self.at)
        # repr of each part, so that no two tuples give the same bytes
        return blake2b(repr([str(part) for part in parts]).encode(), digest_size=16).hexdigest()


def is_unit(text: str | None) -> TypeGuard[str]:
    """Whether it can be what is assigned: neither too long nor beyond what a database stores."""
    return text is not None and 0 < len(text) <= LONGEST_NAME and is_storable(text)


def is_storable(text: str) -> bool:
    """Whether every database that can keep the record takes it."""
    return _STORABLE.fullmatch(text) is not None


def _check_text(field: str, value: Any, limit: int) -> None:
    if not isinstance(value, str):
        raise RequestError(Reason.WRONG_TYPE, f"expected a string, got {kind(value)}", field)
    if not value:
        raise RequestError(Reason.EMPTY, "an empty string", field)
    if len(value) > limit:
        raise RequestError(
            Reason.TOO_LONG,
            f"{len(value)} characters; the limit is {limit}",
            field,
            limit=limit,
            actual=len(value),
        )
    if not is_storable(value):
        raise RequestError(Reason.OUT_OF_RANGE, "holds a NUL or half of a surrogate pair", field)


def _check_number(field: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise RequestError(Reason.WRONG_TYPE, f"expected a number, got {kind(value)}", field)
    if not low <= value <= high:  # NaN is in no range
        too_long = isinstance(value, int) and value.bit_length() > 1000  # for a float64
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{'a huge integer' if too_long else format(value, 'g')}; "
            f"it must be finite, at least {low:g} and at most {high:g}",
            field,
        )


def _check_time(field: str, value: Any) -> None:
    if not isinstance(value, datetime):
        raise RequestError(Reason.WRONG_TYPE, f"expected a time, got {kind(value)}", field)
    if value.tzinfo is None:
        raise RequestError(Reason.OUT_OF_RANGE, f"{value.isoformat()} has no time zone", field)
