"""Numbers that a metric, as it is declared, cannot have."""

from __future__ import annotations

from typing import Any

import pytest

from nestling.experiments.errors import FieldError
from nestling.experiments.outcome_checks import check_rates
from nestling.experiments.records import Outcome

from .declared import experiment, plan


def measuring(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    primary = {"metric": "clicked", "kind": kind, "better": "higher", "smallest_effect": 0.01}
    return experiment(name, primary=primary, **fields)


RATE = plan(measuring("a", "rate"))
BOTH = plan(measuring("a", "rate"), measuring("b", "mean", start="2027-01-01T00:00:00Z", end=None))


@pytest.mark.parametrize("value", [-0.01, 1.01, 7, -1e12])
def test_a_rate_is_from_0_to_1(value: float) -> None:
    outcome = Outcome(metric="clicked", value=value, request_id="one")
    with pytest.raises(FieldError, match=r"\[3\].value: .* declared as a rate"):
        check_rates({"[3].": outcome}, RATE)
    named = Outcome(metric="clicked", value=value, experiment="a", unit="ada")
    with pytest.raises(FieldError, match="'clicked' is declared as a rate, so it is from 0 to 1"):
        check_rates({"": named}, BOTH)


def test_any_number_is_a_mean() -> None:
    for outcome in (
        Outcome(metric="clicked", value=1, request_id="one"),
        Outcome(metric="clicked", value=0.0, request_id="one"),
        Outcome(metric="spent", value=-7, request_id="one"),
        Outcome(metric="label", value="music", request_id="one"),
    ):
        check_rates({"": outcome}, RATE)
    check_rates({"": Outcome(metric="clicked", value=7, request_id="one")}, BOTH)  # b may take it
    check_rates({"": Outcome(metric="clicked", value=7, experiment="b", unit="ada")}, BOTH)
