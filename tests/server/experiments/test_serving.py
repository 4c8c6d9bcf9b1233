"""Experiments in a running server: assigned, recorded, reported, declared anew."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nestling.experiments.assignment import Assigner
from nestling.experiments.parsing import parse
from nestling.experiments.runtime import known_of
from nestling.models import Checkpoint, load_checkpoint
from nestling.models.checkpoint.save import write_calibration
from nestling.server.http.keys import new_key

from ...experiments.declared import experiment
from ...experiments.store.cluster import PASSWORD, Cluster
from ..serving import NESTLING, Server, serve

TEXT = "play some music"
RIGHT = {"request_id": "a", "metric": "label", "value": "music"}
ADMIN, ADMIN_HASH = new_key()


def declaration(*experiments: dict[str, Any]) -> dict[str, Any]:
    return {"experiments": list(experiments)}


def running(name: str = "smaller", **fields: Any) -> dict[str, Any]:
    """One that has started and has no end."""
    return experiment(name, **{"start": "2026-01-01T00:00:00Z", "end": None, **fields})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(checkpoint: Path, folder: Path, declared: Any = None, *flags: str) -> Server:
    """A server that keeps its record in the folder."""
    folder.mkdir(exist_ok=True)
    if declared is not None:
        (folder / "experiments.json").write_text(json.dumps(declared))
        flags = ("--experiments", str(folder / "experiments.json"), *flags)
    if "--store" not in flags:
        flags = ("--store", f"sqlite:///{folder / 'store.db'}", *flags)
    return serve(checkpoint, folder / "log", *flags)


def ask(server: Server, unit: str, **body: Any) -> tuple[dict[str, str], Any]:
    """What a request of a unit gets: its variants, and the whole answer."""
    body = {"inputs": TEXT, **body}
    response = server.client.post("/v1/classify", json=body, headers={"X-User-Id": unit})
    assert response.status_code == 200, response.text
    variants = response.json()["decision"]["variants"]
    header = response.headers.get("x-nestling-variant")
    assert header == (",".join(f"{k}={v}" for k, v in variants.items()) or None)
    return variants, response


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="module")
def server(calibrated_dir: Path, folder: Path) -> Iterator[Server]:
    keys = folder / "keys"
    keys.write_text(f"admin {ADMIN_HASH}\n")
    with start(calibrated_dir, folder, declaration(running()), "--admin-keys", str(keys)) as one:
        yield one


def put(server: Server, declared: Any, key: str = ADMIN) -> Any:
    return server.client.put("/v1/experiments", json=declared, headers={"X-API-Key": key})


def test_a_unit_gets_what_its_hash_says_wherever_it_asks(
    server: Server, folder: Path, calibrated: Checkpoint, calibrated_dir: Path
) -> None:
    plan = parse(declaration(running()), known_of(calibrated))
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


def store(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"


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


def test_exposures_and_outcomes_become_a_report(calibrated_dir: Path, tmp_path: Path) -> None:
    with start(calibrated_dir, tmp_path, declaration(running())) as server:
        right: dict[str, list[bool]] = {"control": [], "small": []}
        outcomes = []
        for number in range(30):
            variants, response = ask(server, f"user-{number}", inputs=f"book a table {number}")
            truth = "music" if number % 3 else response.json()["label"]
            right[variants["smaller"]].append(truth == response.json()["label"])
            identity = response.headers["x-request-id"]
            outcomes.append({"request_id": identity, "metric": "label", "value": truth})
        until(lambda: server.metrics()["nestling_exposures_written_total"] == 30)
        first = server.client.post("/v1/outcomes", json=outcomes)
        assert first.json()["counts"] == {"stored": 30}
        assert server.client.post("/v1/outcomes", json=outcomes[0]).json() == {
            "receipts": ["duplicate"],
            "counts": {"duplicate": 1},
        }
        report = server.client.get("/v1/experiments/smaller").json()
        metrics = server.metrics()
    for variant in report["variants"]:
        seen = right[variant["name"]]
        assert variant["enrolled"] == variant["units"] == len(seen)
        assert variant["mean"] == pytest.approx(sum(seen) / len(seen))
        name = variant["name"]
        exposed = f"nestling_experiment_exposures_total{{experiment=smaller,variant={name}}}"
        assert metrics[exposed] == len(seen)
    assert report["verdict"]["outcome"] == "keep_running"
    assert report["series"][-1]["variants"]["control"]["n"] == len(right["control"])
    command = [*NESTLING, "experiment", "report", "smaller", "--store", store(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "keep running" in printed
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["report"]["variants"] == report["variants"]


@pytest.mark.parametrize(
    ("body", "field", "status"),
    [
        ({"metric": "label"}, "value", 422),
        ([{"request_id": "a", "metric": "reward", "value": 1e308}], "[0].value", 422),
        ([{"request_id": "a", "metric": "cost", "value": 1}], "[0].metric", 422),
        ([{"request_id": "a", "metric": "reward", "value": 1, "at": "noon"}], "[0].at", 422),
        ([{"request_id": "a", "metric": "reward", "value": 1, "x": 1}], "[0].x", 422),
        ({"request_id": "a", "metric": "label", "value": "no_such_label"}, "value", 422),
        ([RIGHT, {"request_id": "a", "metric": "label", "value": "Music"}], "[1].value", 422),
        ([RIGHT, {"request_id": "a", "metric": "label", "value": " music"}], "[1].value", 422),
        ([{"request_id": "a", "metric": "label", "value": 3}], "[0].value", 422),
        ([{"request_id": "a", "metric": "reward", "value": "music"}], "[0].value", 422),
        ([{"request_id": "a", "metric": "reward", "value": None}], "[0].value", 422),
        ([{"request_id": "a", "metric": "reward", "value": True}], "[0].value", 422),
        ({"request_id": "a", "metric": "reward", "value": 1, "id": 0}, "id", 422),
        ({"request_id": " ", "metric": "reward", "value": 1}, "request_id", 422),
        ([], "the list", 422),
        ([3], "[0]", 422),
    ],
)
def test_outcomes_that_cannot_be_are_named(
    server: Server, body: Any, field: str, status: int
) -> None:
    response = server.client.post("/v1/outcomes", json=body)
    assert response.status_code == status, response.text
    assert response.json()["error"]["field"] == field


def test_a_label_that_is_none_is_not_stored(server: Server) -> None:
    _, response = ask(server, "grace")
    outcome = {"request_id": response.headers["x-request-id"], "metric": "label"}
    probes = ({**outcome, "metric": "seen", "value": 1, "id": f"probe-{n}"} for n in count())
    until(lambda: receipts(server, next(probes)) == ["stored"])  # its exposure is written
    wrong = server.client.post("/v1/outcomes", json={**outcome, "value": "no_such_label"})
    assert "value: 'no_such_label' is none of the 5 labels, such as" in wrong.text
    near = server.client.post("/v1/outcomes", json={**outcome, "value": "transalte"})
    assert near.json()["error"]["known"][0] == "translate"
    assert receipts(server, {**outcome, "value": "music", "id": None}) == ["stored"]
    unit = {"experiment": "smaller", "unit": " grace ", "metric": "visits", "value": -3, "at": None}
    assert receipts(server, unit) == ["stored"]


def receipts(server: Server, outcome: dict[str, Any]) -> list[str]:
    response = server.client.post("/v1/outcomes", json=outcome)
    assert response.status_code == 200, response.text
    found: list[str] = response.json()["receipts"]
    return found


@pytest.mark.parametrize("header", ["Authorization", "COOKIE", "X-API-Key", "X-Auth-Token"])
def test_a_secret_is_no_unit(server: Server, header: str) -> None:
    response = put(server, declaration(running(), running("other", unit={"header": header})))
    assert response.status_code == 422
    [problem] = response.json()["error"]["problems"]
    assert problem.startswith(f"experiments[1].unit.header: {header.lower()!r} holds a secret")


def test_outcomes_of_unknown_requests_are_kept_and_said_to_be_unknown(server: Server) -> None:
    body = {"request_id": "nobody's", "metric": "reward", "value": 1}
    assert server.client.post("/v1/outcomes", json=body).json()["receipts"] == ["unknown"]
    raw = server.client.post("/v1/outcomes", content=b'[{"metric": "reward", "value": NaN}]')
    assert raw.status_code == 400


def test_declaring_is_for_administrators(server: Server) -> None:
    assert put(server, declaration(running()), key="nobody's").status_code == 401
    assert server.client.get("/v1/experiments").status_code == 200


def test_a_wrong_declaration_changes_nothing_and_names_every_problem(server: Server) -> None:
    wrong = running(
        variants=[
            {"name": "control", "weight": 0, "policy": "auto"},
            {"name": "control", "weight": 1e308, "policy": "nobody"},
        ]
    )
    before = server.client.get("/v1/experiments").json()
    response = put(server, declaration(wrong))
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["type"] == "invalid_declaration"
    assert {problem.split(":")[0] for problem in error["problems"]} == {
        "experiments[0].variants[0].weight",
        "experiments[0].variants[1].weight",
        "experiments[0].variants[1].policy",
        "experiments[0].variants[1].name",
    }
    assert server.client.get("/v1/experiments").json() == before
    assert put(server, [1]).json()["error"]["type"] == "wrong_type"
    twice = json.dumps(declaration(running()), indent=1)[:-1] + ',\n "experiments": []}'
    headers = {"X-API-Key": ADMIN}
    response = server.client.put("/v1/experiments", content=twice, headers=headers)
    assert response.status_code == 422
    assert response.json()["error"]["type"] == "invalid_declaration"
    assert response.json()["error"]["problems"] == [
        f"line {len(twice.splitlines())}: 'experiments' is there twice"
    ]


@pytest.mark.slow
def test_weights_change_in_a_new_phase_only_and_replicas_follow(
    calibrated_dir: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"admin {ADMIN_HASH}\n")
    variants = [
        {"name": "control", "weight": 1, "policy": "auto"},
        {"name": "small", "weight": 9, "policy": "tiny"},
    ]
    first = start(calibrated_dir, tmp_path, declaration(running()), "--admin-keys", str(keys))
    second = start(calibrated_dir, tmp_path / "second", None, "--store", store(tmp_path))
    with first, second:
        refused = put(first, declaration(running(variants=variants)))
        assert refused.status_code == 422
        assert "give the phase a new name" in refused.json()["error"]["message"]
        taken = put(first, declaration(running(variants=variants, phase="bold")))
        assert taken.status_code == 200, taken.text
        assert taken.json()["changes"][0]["phase"] == "bold"
        until(lambda: second.client.get("/v1/experiments").json()["version"] == 2)
        for number in range(20):
            assert ask(first, f"user-{number}")[0] == ask(second, f"user-{number}")[0]


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


@pytest.mark.slow
def test_a_file_or_a_database_that_cannot_be_used_stops_the_start(
    calibrated_dir: Path, tmp_path: Path
) -> None:
    def failed(*flags: str) -> str:
        command = [*NESTLING, "serve", str(calibrated_dir), "--port", "0", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    file = tmp_path / "wrong.yaml"
    file.write_text("experiments: [{name: x}]")
    assert "experiments[0].variants: is missing" in failed(
        "--experiments", str(file), "--store", store(tmp_path)
    )
    down = f"postgresql://nestling:{PASSWORD}@127.0.0.1:1/none"
    message = failed("--store", down)
    assert "127.0.0.1" in message
    assert PASSWORD not in message


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


@pytest.mark.slow
def test_a_checkpoint_without_what_experiments_name_is_not_taken_up(
    calibrated_dir: Path, tmp_path: Path
) -> None:
    directory = shutil.copytree(calibrated_dir, tmp_path / "served")
    keys = tmp_path / "keys"
    keys.write_text(f"admin {ADMIN_HASH}\n")
    variants = [
        {"name": "control", "weight": 1, "policy": "auto"},
        {"name": "short", "weight": 1, "policy": "short"},
    ]
    declared = declaration(running(variants=variants))
    with start(directory, tmp_path / "x", declared, "--admin-keys", str(keys)) as server:
        loaded = load_checkpoint(directory)
        write_calibration(loaded, {}, {"all": loaded.cascades["all"]}, "all")
        refused = server.client.post("/admin/reload", headers={"X-API-Key": ADMIN})
        assert refused.status_code == 422
        assert "'short' is none of" in refused.json()["error"]["message"]
        assert ask(server, "user-1")[0]


def test_without_a_record_there_are_no_experiments(calibrated_dir: Path, tmp_path: Path) -> None:
    with serve(calibrated_dir, tmp_path / "log") as server:
        for reply in (
            server.client.get("/v1/experiments"),
            server.client.post("/v1/outcomes", json=[]),
        ):
            assert reply.status_code == 404
            assert "--experiments FILE" in reply.json()["error"]["message"]
