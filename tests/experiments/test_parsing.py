"""A declaration is taken whole or not at all, and each error says where, what and which limit."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

import pytest

from nestling.experiments.definition import BucketRange, Experiment, Source, Unit
from nestling.experiments.errors import DeclarationError
from nestling.experiments.parsing import parse
from nestling.models.precision import Precision

from .declared import KNOWN, experiment, parsed, plan


def problems(declared: object) -> dict[str, str]:
    with pytest.raises(DeclarationError) as raised:
        parse(declared, KNOWN)
    return {problem.path: problem.message for problem in raised.value.problems}


def test_what_is_left_out_has_its_default() -> None:
    read = parsed()
    assert (read.salt, read.layer.name, read.layer.salt, read.phase) == (
        *("smaller",) * 3,
        "first",
    )
    assert (read.owns, read.enrolled) == (BucketRange(0, 10_000), 10_000)
    assert (read.confidence, read.planned_units) == (0.95, 10_000)
    assert read.unit == Unit(Source.HEADER, "x-user-id")
    assert read.control.name == "control"


def test_everything_that_can_be_said() -> None:
    read = plan(
        experiment(
            salt="s2",
            layer="routing",
            owns=[0.1, 0.6],
            enrolled=0.0001,
            unit="user",
            phase="second",
            variants=[
                {"name": "a", "weight": 9, "policy": "fast", "thresholds": [0.9, 1]},
                {"name": "b", "weight": 1, "policy": "tiny", "runner": "onnx-int8"},
            ],
            start=datetime(2026, 11, 1, tzinfo=UTC),
            end=None,
            primary={"metric": "clicks", "kind": "mean", "better": "higher", "smallest_effect": 2},
            guardrails=[
                {"metric": "latency_p99_ms", "limit": 250},
                {"metric": "accuracy", "margin": 0.01, "confidence": 0.999},
            ],
            confidence=0.9,
            planned_units=500,
            paired=0.1,
        ),
        layers=[{"name": "routing", "salt": "r1"}],
    )["smaller"]
    assert (read.owns, read.enrolled, read.layer.salt) == (BucketRange(1000, 6000), 1, "r1")
    assert read.variants[0].thresholds == (0.9, 1.0)
    assert read.variants[1].runner == "onnx-int8"
    assert read.guardrails[1].confidence == 0.999
    assert read.paired == 0.1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "'nowhere' is not declared: there are no names under layers"),
        ([{"name": 5}], "'nowhere' is not declared: there are no names under layers"),
        ([{"name": "x" * 5000}, {"name": "b"}], f"'nowhere' is none of {'x' * 64}, b"),
    ],
)
def test_a_layer_that_is_not_declared(layers: list[Any], message: str) -> None:
    found = problems({"layers": layers, "experiments": [experiment(layer="nowhere")]})
    assert found["experiments[0].layer"] == message


@pytest.mark.parametrize(
    "weight",
    [0, -1, 1e308, nan, inf, 1.0, True, "1", None, 10_001, pytest.param(10**5000, id="huge")],
)
def test_weights(weight: Any) -> None:
    variants = [
        {"name": "control", "weight": 1, "policy": "auto"},
        {"name": "small", "weight": weight, "policy": "tiny"},
    ]
    found = problems({"experiments": [experiment(variants=variants)]})
    assert list(found) == ["experiments[0].variants[1].weight"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field, value)
        for field, values in {
            "name": [1, "", "a b", "a/b", "x" * 65, True, nan],
            "salt": [1, "a/b"],
            "unit": ["session", 1, True],
            "layer": ["nowhere", 1],
            "owns": [[0.5, 0.5], [0.6, 0.5], [0], 1],
            "enrolled": [1.1, -0.1, 0.00005, nan, inf, True, "1", 1e308],
            "phase": ["a/b", 2],
            "variants": [[], {}, "ab"],
            "start": [None, "2026-11-01T00:00:00", "soon", 1793000000, nan],
            "end": ["2026-11-01T00:00:00Z", "2026-10-01T00:00:00Z", datetime(2026, 12, 1)],
            "primary": [None, [], 1],
            "confidence": [0, 1, 95, nan, True],
            "planned_units": [0, 99, 1e9, 10**10, nan, True],
            "paired": [-0.1, 1.1, 0.00005, nan, True],
            "guardrails": [{}, "none"],
            "extra": [1],
        }.items()
        for value in values
    ],
)
def test_each_field(field: str, value: Any) -> None:
    found = problems({"experiments": [experiment(**{field: value})]})
    assert list(found) == [f"experiments[0].{field}"]


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        *((name, True) for name in (
            "Authorization", "authorization", "Proxy-Authorization", "Cookie", "SET-COOKIE",
            "X-API-Key", "api_key", "X-Auth-Token", "X-CSRF-Token", "X-Amz-Security-Token",
            "Ocp-Apim-Subscription-Key", "X-Goog-Api-Key", "X-Client-Secret", "X-Apikey",
            "X-Amzn-Oidc-AccessToken", "X-Amzn-Oidc-Data", "X-Bearer", "X-Auth", "DPoP",
            "X-Forwarded-Client-Cert", "X-OTP", "X-Pin", "X-Signature", "XApiKey", "sid",
            "X.Api.Key",
        )),
        *((name, False) for name in (
            "X-User-Id", "X-Session-Id", "X-Tenant", "X-Author", "X-Partition-Key",
        )),
    ],
)  # fmt: skip
def test_no_secret_is_a_unit(header: str, secret: bool) -> None:
    declared = {"experiments": [experiment(unit={"header": header})]}
    if not secret:
        parse(declared, KNOWN)
        return
    [(path, message)] = problems(declared).items()
    assert path == "experiments[0].unit.header"
    assert message.startswith(f"{header.lower()!r} holds a secret")
    # What an earlier version has recorded can still be read.
    [stored] = parse(declared, replace(KNOWN, stored=True)).experiments
    assert stored.unit == Unit(Source.HEADER, header.lower())


@pytest.mark.parametrize(
    ("variant", "field"),
    [
        ({"policy": "huge"}, "policy"),
        ({"policy": 1}, "policy"),
        ({}, "policy"),
        ({"runner": "tpu"}, "runner"),
        ({"runner": "auto"}, "runner"),
        ({"policy": "auto", "runner": "onnx-int8"}, "runner"),
        ({"runner": "onnx-int8"}, "runner"),
        ({"policy": "tiny", "thresholds": [0.5]}, "thresholds"),
        ({"policy": "tiny", "thresholds": []}, "thresholds"),
        ({"policy": "fast", "thresholds": [0.5]}, "thresholds"),
        ({"policy": "fast", "thresholds": 0.5}, "thresholds"),
        ({"policy": "fast", "thresholds": [0.5, nan]}, "thresholds[1]"),
        ({"policy": "fast", "thresholds": [1e308, 0.5]}, "thresholds[0]"),
        ({"runner": "onnx", "thresholds": [0.5]}, "thresholds"),
        ({"policy": "auto", "color": "red"}, "color"),
        ({"policy": "auto", "name": "control"}, "name"),
    ],
)
def test_variants(variant: dict[str, Any], field: str) -> None:
    control = {"name": "control", "weight": 1, "policy": "auto"}
    declared = experiment(variants=[control, {"name": "small", "weight": 1, **variant}])
    assert list(problems({"experiments": [declared]})) == [f"experiments[0].variants[1].{field}"]


@pytest.mark.parametrize(
    ("runner", "served", "computes"),
    [("onnx", "bfloat16", "float32"), ("torch", "int8", "float32")],
)
def test_a_runner_of_another_precision_serves_a_student_alone(
    runner: str, served: Precision, computes: str
) -> None:
    known = replace(KNOWN, precision=served)

    def declared(**variant: Any) -> dict[str, Any]:
        control = {"name": "control", "weight": 1, "policy": "auto"}
        variants = [control, {"name": "small", "weight": 1, "runner": runner, **variant}]
        return {"experiments": [experiment(variants=variants)]}

    [alone] = parse(declared(policy="tiny"), known).experiments
    assert alone.variants[1].runner == runner
    for variant in ({}, {"policy": "auto"}, {"policy": "fast"}):
        with pytest.raises(DeclarationError) as error:
            parse(declared(**variant), known)
        assert str(error.value) == (
            f"experiments[0].variants[1].runner: {runner!r} serves a student alone; it computes in "
            f"{computes}, and the thresholds of this server were calibrated on {served} logits"
        )
        # What a server of that precision has taken can still be read.
        assert parse(declared(**variant), replace(KNOWN, stored=True, precision=None)).experiments


@pytest.mark.parametrize(
    ("guardrail", "field"),
    [
        ({"metric": "p99"}, "metric"),
        ({"metric": "error_rate"}, "limit"),
        ({"metric": "error_rate", "limit": 0.1, "margin": 0.1}, "limit"),
        ({"metric": "error_rate", "limit": 2}, "limit"),
        ({"metric": "accuracy", "margin": nan}, "margin"),
        ({"metric": "cost", "limit": 1e308}, "limit"),
        ({"metric": "latency_p99_ms", "margin": 10}, "margin"),
        ({"metric": "cost", "limit": 1, "confidence": 1}, "confidence"),
    ],
)
def test_guardrails(guardrail: dict[str, Any], field: str) -> None:
    found = problems({"experiments": [experiment(guardrails=[guardrail])]})
    assert list(found) == [f"experiments[0].guardrails[0].{field}"]


@pytest.mark.parametrize(
    ("primary", "field"),
    [
        ({"metric": "accuracy"}, "smallest_effect"),
        ({"metric": "accuracy", "smallest_effect": 0}, "smallest_effect"),
        ({"metric": "accuracy", "smallest_effect": 1.5}, "smallest_effect"),
        ({"metric": "accuracy", "smallest_effect": 0.1, "better": "lower"}, "better"),
        ({"metric": "Clicks", "kind": "rate", "smallest_effect": 0.1, "better": "lower"}, "metric"),
        ({"metric": "clicks", "kind": "rate", "smallest_effect": 0.1}, "better"),
        ({"metric": "clicks", "better": "lower", "smallest_effect": 0.1}, "kind"),
        ({"metric": "latency_ms", "smallest_effect": nan}, "smallest_effect"),
        ({"metric": "latency_ms", "smallest_effect": 1e308}, "smallest_effect"),
    ],
)
def test_primary(primary: dict[str, Any], field: str) -> None:
    found = problems({"experiments": [experiment(primary=primary)]})
    assert list(found) == [f"experiments[0].primary.{field}"]


def test_all_problems_are_said_at_once_with_value_and_limit() -> None:
    found = problems(
        {
            "layers": [{"name": "a"}, {"name": "a"}],
            "experiments": [experiment(enrolled=2, confidence=1), experiment("b", start="x")],
            "also": 1,
        }
    )
    assert set(found) == {
        "layers[1].name",
        "experiments[0].enrolled",
        "experiments[0].confidence",
        "experiments[1].start",
        "also",
    }
    assert found["experiments[0].enrolled"] == "2 is not between 0 and 1"


@pytest.mark.parametrize("declared", [None, [], 1, nan, "x", {"experiments": {}}])
def test_what_is_no_declaration(declared: object) -> None:
    assert len(problems(declared)) == 1


def test_a_long_value_is_not_repeated_whole() -> None:
    [message] = problems({"experiments": [experiment(phase="x" * 10_000)]}).values()
    assert len(message) < 200


def test_a_pair_takes_two_variants() -> None:
    three = [{"name": n, "weight": 1, "policy": "auto"} for n in "abc"]
    found = problems({"experiments": [experiment(variants=three, paired=0.5)]})
    assert list(found) == ["experiments[0].paired"]


def test_an_enrolled_share_fits_what_is_owned() -> None:
    found = problems({"experiments": [experiment(owns=[0, 0.25], enrolled=0.3)]})
    assert found == {
        "experiments[0].enrolled": "0.3 of the layer is more than the 0.25 that the experiment owns"
    }


def test_json_with_what_json_does_not_have() -> None:
    declared = json.loads(json.dumps({"experiments": [experiment(paired=nan, confidence=inf)]}))
    assert set(problems(declared)) == {"experiments[0].paired", "experiments[0].confidence"}


def test_times() -> None:
    read: Experiment = parsed()
    start = datetime(2026, 11, 1, tzinfo=UTC)
    assert not read.running(start - timedelta(seconds=1))
    assert read.running(start)
    assert read.ended(datetime(2026, 12, 1, tzinfo=UTC))
    assert parsed(end=None).running(datetime(2100, 1, 1, tzinfo=UTC))
