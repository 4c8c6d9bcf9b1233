"""Numbers that a metric, as it is declared, cannot have."""

from __future__ import annotations

from typing import Any

import pytest

from nestling.experiments.outcome_checks import check_rates
from nestling.experiments.records import Outcome
from nestling.server.errors import RequestError

from .declared import experiment, plan


def measuring(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    primary = {"metric": "clicked", "kind": kind, "better": "higher", "smallest_effect": 0.01}
    return experiment(name, primary=primary, **fields)


RATE = plan(measuring("a", "rate"))
BOTH = plan(measuring("a", "rate"), measuring("b", "mean", start="2027-01-01T00:00:00Z", end=None))


@pytest.mark.parametrize("value", [-0.01, 1.01, 7, -1e12])
def test_a_rate_is_from_0_to_1(value: float) -> None:
    outcome = Outcome("clicked", value, request_id="one")
    with pytest.raises(RequestError, match=r"\[3\].value: .* declared as a rate"):
        check_rates({"[3].": outcome}, RATE)
    named = Outcome("clicked", value, experiment="a", unit="ada")
    with pytest.raises(RequestError, match="'clicked' is declared as a rate, so it is from 0 to 1"):
        check_rates({"": named}, BOTH)


def test_any_number_is_a_mean() -> None:
    for outcome in (
        Outcome("clicked", 1, request_id="one"),
        Outcome("clicked", 0.0, request_id="one"),
        Outcome("spent", -7, request_id="one"),
        Outcome("label", "music", request_id="one"),
    ):
        check_rates({"": outcome}, RATE)
    check_rates({"": Outcome("clicked", 7, request_id="one")}, BOTH)  # b may take it
    check_rates({"": Outcome("clicked", 7, experiment="b", unit="ada")}, BOTH)
