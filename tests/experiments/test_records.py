"""What an exposure and an outcome may hold."""

from __future__ import annotations

from datetime import datetime
from math import inf, nan
from typing import Any

import pytest
from pydantic import ValidationError

from nestling.experiments.records import Outcome, StudentAsked

from .store.samples import BEGIN, exposure


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"request_id": "r" * 129}, "request_id\n.*at most 128 characters.*'rrr"),
        ({"unit": "a\0b"}, "unit\n.*holds a NUL"),
        ({"latency_seconds": -1e-9}, "latency_seconds\n.*greater than or equal to 0.*-1e-09"),
        ({"relative_cost": nan}, "relative_cost\n.*finite number.*nan"),
        ({"covariate": inf}, "covariate\n.*finite number.*inf"),
        ({"status": 600}, "status\n.*less than or equal to 599.*600"),
        ({"at": datetime(2026, 1, 1)}, "at\n.*timezone"),
        ({"path": [[StudentAsked("tiny", "music", 0.5)]] * 33}, "path\n.*at most 32 items.*33"),
    ],
)
def test_a_bad_exposure_names_field_value_and_limit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
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
