"""What an outcome may hold, and what its sender is told otherwise."""

from __future__ import annotations

from datetime import datetime
from math import inf, nan
from typing import Any

import pytest

from nestling.server.errors import RequestError
from nestling.server.http.body import check
from nestling.server.http.protocols.experiments.outcomes import OutcomeBody


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "reward", "value": 1e308}, "value: 1e+308; it must be finite"),
        ({"metric": "reward", "value": nan}, "value: nan; it must be finite"),
        ({"metric": "reward", "value": -inf}, "value: -inf; .*at least -1e+12 and at most 1e+12"),
        ({"metric": "reward", "value": 10**400}, "value: a huge integer; it must be .*at most 1e"),
        ({"metric": "reward", "value": True}, "value: expected a number, got a boolean"),
        ({"metric": "reward", "value": "1"}, "value: expected a number, got a string"),
        ({"metric": "label", "value": 1.0}, "value: expected a string, got a number"),
        ({"metric": "label", "value": ""}, "value: an empty string"),
        ({"metric": "label", "value": "x" * 257}, "value: 257 characters; the limit is 256"),
        ({"metric": "label", "value": "a\0"}, "value: holds a NUL"),
        ({"metric": "label", "value": "\ud83d"}, "value: holds a NUL or half of a surrogate"),
        ({"metric": "Reward", "value": 1.0}, "metric: 'Reward' is not of the form"),
        ({"metric": "a" * 65, "value": 1.0}, "metric: .*is not of the form"),
        ({"metric": "latency_ms", "value": 1.0}, "metric: 'latency_ms' is measured by the server"),
        ({"metric": None, "value": 1.0}, "metric: expected a string, got null"),
        ({"request_id": "r" * 129}, "request_id: 129 characters; the limit is 128"),
        ({"request_id": ""}, "request_id: an empty string"),
        ({"request_id": None}, "request_id: missing; or name experiment and unit"),
        ({"request_id": None, "unit": "ana"}, "request_id: missing; or name experiment and unit"),
        ({"unit": "ana"}, "unit: beside a request_id"),
        (
            {"request_id": None, "experiment": "e", "unit": "u", "metric": "label", "value": "x"},
            "request_id: missing; a label belongs to a request",
        ),
        ({"at": datetime(2026, 1, 1)}, "at: 2026-01-01T00:00:00 has no time zone"),
        ({"at": "yesterday"}, "at: 'yesterday' is not a time in ISO 8601"),
        ({"at": 1793000000}, "at: expected a string, got a number"),
        ({"id": "i" * 129}, "id: 129 characters; the limit is 128"),
    ],
)
def test_a_bad_outcome_names_field_value_and_limit(fields: dict[str, Any], message: str) -> None:
    good = {"metric": "reward", "value": 0.5, "request_id": "request-1"}
    with pytest.raises(RequestError, match=f"^{message.replace('+', '[+]')}") as raised:
        check({**good, **fields}, OutcomeBody)
    assert raised.value.field == message.split(":")[0]
    assert raised.value.status == 422
