"""Who gets which variant from a running server, and what is recorded of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from nestling.experiments.assignment import Assigner
from nestling.experiments.parsing import parse
from nestling.experiments.runtime import known_of
from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.schema import exposures
from nestling.models import Checkpoint

from ...experiments.store.cluster import Cluster
from ..serving import Server, serve
from .recording import (
    TEXT,
    ask,
    declaration,
    running,
    start,
    store,
    until,
)


def test_a_unit_gets_what_its_hash_says_wherever_it_asks(
    server: Server, folder: Path, calibrated: Checkpoint, calibrated_dir: Path
) -> None:
    plan = parse(declaration(running()), known_of(calibrated, "float32"))
    assigner = Assigner(plan["smaller"])
    units = [f"user-{number}" for number in range(40)]
    expected = {unit: assigner.variant(unit) for unit in units}
    assert {variant.name for variant in expected.values()} == {"control", "small"}
    replica = start(calibrated_dir, folder / "replica", None, "--store", store(folder))
    with replica:
        for unit, variant in expected.items():
            for one in (server, replica):
                variants, response = ask(one, unit)
                assert variants == {"smaller": variant.name}
                decision = response.json()["decision"]
                assert decision["model"] == ("all" if variant.policy == "auto" else variant.policy)


def test_who_names_a_model_or_has_no_unit_is_in_no_experiment(server: Server) -> None:
    assert ask(server, "user-1", model="ta")[0] == {}
    response = server.client.post("/v1/classify", json={"inputs": TEXT})
    assert response.json()["decision"]["variants"] == {}
    assert ask(server, "u" * 129)[0] == {}


def test_units_that_no_database_stores_are_none(calibrated_dir: Path, tmp_path: Path) -> None:
    with start(calibrated_dir, tmp_path, declaration(running(unit="user"))) as server:
        for user, takes_part in (("ada", True), ("a\x00", False)):
            body = json.dumps({"inputs": TEXT, "user": user})
            decision = server.client.post("/v1/classify", content=body).json()["decision"]
            assert bool(decision["variants"]) is takes_part
        long = {"inputs": TEXT, "user": "u" * 129}
        assert server.client.post("/v1/classify", json=long).status_code == 422


@pytest.mark.parametrize("given", ["1e13", "nan", "inf", "-1e300", "tall", ""])
def test_a_covariate_is_refused_before_work_begins(server: Server, given: str) -> None:
    headers = {"X-User-Id": "user-1", "x-nestling-covariate": given}
    response = server.client.post("/v1/classify", json={"inputs": TEXT}, headers=headers)
    assert response.status_code == 422
    assert response.json()["error"]["message"] == (
        f"x-nestling-covariate: {given!r} is not a number of at most 1e+12 in magnitude"
    )


def test_other_protocols_take_part_too(server: Server) -> None:
    headers = {"X-User-Id": "user-7"}
    expected = f"smaller={ask(server, 'user-7')[0]['smaller']}"
    for path, body in (
        ("/predict", {"inputs": TEXT}),
        ("/", {"inputs": TEXT}),
        (
            "/v2/models/auto/infer",
            {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [TEXT]}]},
        ),
    ):
        response = server.client.post(path, json=body, headers=headers)
        assert response.headers["x-nestling-variant"] == expected, response.text


@pytest.mark.slow
def test_what_was_declared_outlives_the_server(calibrated_dir: Path, tmp_path: Path) -> None:
    with start(calibrated_dir, tmp_path, declaration(running())) as server:
        before = [ask(server, f"user-{number}")[0] for number in range(10)]
    with start(calibrated_dir, tmp_path) as server:
        assert [ask(server, f"user-{number}")[0] for number in range(10)] == before
        assert server.client.get("/v1/experiments").json()["version"] == 1


def test_pairs_are_answered_by_both(calibrated_dir: Path, tmp_path: Path) -> None:
    paired = running(paired=1, primary={"metric": "relative_cost", "smallest_effect": 0.01})
    with start(calibrated_dir, tmp_path, declaration(paired)) as server:
        for number in range(10):
            ask(server, f"user-{number}")
        until(lambda: server.metrics()["nestling_exposures_written_total"] == 20)
        report = server.client.get("/v1/experiments/smaller").json()
        models = server.client.get("/v1/models").json()["data"]
    # By what each arm was answered is recorded: a cascade may change while an experiment runs.
    versions = {each["id"]: each["version"] for each in models}
    engine = open_database(store(tmp_path))
    with transaction(engine) as connection:
        rows = connection.execute(select(exposures.c.variant, exposures.c.version)).all()
    engine.dispose()
    assert {tuple(row) for row in rows} == {
        ("control", versions["auto"]),
        ("small", versions["tiny"]),
    }
    small = next(each for each in report["variants"] if each["name"] == "small")
    assert small["pairs"]["units"] == 10
    assert small["pairs"]["estimate"] <= 0  # `tiny` alone costs no more than a cascade with it
    assert sum(each["enrolled"] for each in report["variants"]) == 10


def test_a_covariate_comes_in_a_header(calibrated_dir: Path, tmp_path: Path) -> None:
    latency = running(primary={"metric": "latency_ms", "smallest_effect": 1})
    with start(calibrated_dir, tmp_path, declaration(latency)) as server:
        for number in range(20):
            headers = {"X-User-Id": f"user-{number}", "x-nestling-covariate": str(number / 7)}
            server.client.post("/v1/classify", json={"inputs": TEXT}, headers=headers)
        until(lambda: server.metrics()["nestling_exposures_written_total"] == 20)
        assert server.client.get("/v1/experiments/smaller").json()["variance_removed"] is not None
        for wrong in ("much", "nan", "1e999"):
            headers["x-nestling-covariate"] = wrong
            refused = server.client.post("/v1/classify", json={"inputs": TEXT}, headers=headers)
            assert refused.status_code == 422
            assert refused.json()["error"]["field"] == "x-nestling-covariate"


@pytest.mark.slow
def test_a_variant_may_pin_a_runner(calibrated_dir: Path, tmp_path: Path) -> None:
    variants = [
        {"name": "torch", "weight": 1, "runner": "torch"},
        {"name": "onnx", "weight": 1, "runner": "onnx"},
    ]
    with start(calibrated_dir, tmp_path, declaration(running(variants=variants))) as server:
        answers = [ask(server, f"user-{number}") for number in range(12)]
        assert {variants["smaller"] for variants, _ in answers} == {"torch", "onnx"}
        assert len({response.json()["label"] for _, response in answers}) == 1


def test_thresholds_of_its_own(calibrated_dir: Path, tmp_path: Path) -> None:
    variants = [
        {"name": "control", "weight": 1, "policy": "short"},
        {"name": "never", "weight": 1, "policy": "short", "thresholds": [1]},
    ]
    with start(calibrated_dir, tmp_path, declaration(running(variants=variants))) as server:
        for number in range(12):
            variants_got, response = ask(server, f"user-{number}")
            decision = response.json()["decision"]
            if variants_got["smaller"] == "never":
                assert decision["model"] == "short[1]"
                assert decision["student"] == "ta"


def test_answers_go_on_without_the_database(
    calibrated_dir: Path, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.new_schema()
    with start(calibrated_dir, tmp_path, declaration(running()), "--store", url) as server:
        ask(server, "user-1")
        until(lambda: server.metrics()["nestling_exposures_written_total"] == 1)
        cluster.kill()
        try:
            for number in range(10):
                ask(server, f"user-{number}")
            until(lambda: server.metrics()["nestling_store_up"] == 0)
            assert server.metrics()["nestling_exposures_buffered"] == 10
            assert server.client.get("/v1/experiments/smaller").status_code == 503
            outcome = {"request_id": "x", "metric": "reward", "value": 1}
            assert server.client.post("/v1/outcomes", json=outcome).status_code == 503
        finally:
            cluster.start()
        until(lambda: server.metrics()["nestling_exposures_written_total"] == 11)
        assert server.metrics()["nestling_exposures_dropped_total"] == 0
        until(lambda: server.metrics()["nestling_store_up"] == 1)


def test_without_a_record_there_are_no_experiments(calibrated_dir: Path, tmp_path: Path) -> None:
    with serve(calibrated_dir, tmp_path / "log") as server:
        for reply in (
            server.client.get("/v1/experiments"),
            server.client.post("/v1/outcomes", json=[]),
        ):
            assert reply.status_code == 404
            assert "--experiments FILE" in reply.json()["error"]["message"]
