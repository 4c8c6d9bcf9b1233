"""What an exposure and an outcome may hold."""

from __future__ import annotations

from datetime import datetime
from math import inf, nan
from typing import Any

import pytest

from nestling.experiments.records import Outcome, StudentAsked

from .store.samples import BEGIN, exposure


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"request_id": "r" * 129}, "request_id: 'rrr.* 1 to 128 characters"),
        ({"unit": "a\0b"}, "unit: .* is not a text of .* none of them a NUL"),
        ({"latency_seconds": -1e-9}, "latency_seconds: -1e-09 is not between 0 and 1e+12"),
        ({"relative_cost": nan}, "relative_cost: nan"),
        ({"covariate": inf}, "covariate: inf is not within ±1e+12"),
        ({"status": 600}, "status: 600 is not between 0 and 599"),
        ({"at": datetime(2026, 1, 1)}, "at: .* has no time zone"),
        ({"path": [[StudentAsked("tiny", "music", 0.5)]] * 33}, "path: 33 texts; the limit is 32"),
    ],
)
def test_a_bad_exposure_names_field_value_and_limit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message.replace('+', '[+]')}"):
        exposure(**fields)


def test_an_id_is_made_of_what_the_outcome_is_about() -> None:
    of_request = {"metric": "reward", "request_id": "request-1"}
    of_unit = {"metric": "reward", "experiment": "e", "unit": "request-1"}
    ids = [
        Outcome(value=1.0, **of_request).id,
        Outcome(value=1.0, **of_request, at=BEGIN).id,
        Outcome(value=1.0, **{**of_request, "metric": "clicks"}).id,
        Outcome(value=1.0, **of_unit).id,
        Outcome(value=1.0, **of_unit, at=BEGIN).id,
    ]
    assert len(set(ids)) == len(ids)
    assert Outcome(value=2.0, **of_request).id == ids[0]
    assert Outcome(value=2.0, **of_request, id="mine").id == "mine"
