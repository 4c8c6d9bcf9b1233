"""Outcomes that clients report to a running server, and the report that they become."""

from __future__ import annotations

import json
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ..serving import NESTLING, Server
from .recording import (
    ask,
    declaration,
    receipts,
    running,
    start,
    store,
    until,
)

RIGHT = {"request_id": "a", "metric": "label", "value": "music"}


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


def test_outcomes_of_unknown_requests_are_kept_and_said_to_be_unknown(server: Server) -> None:
    body = {"request_id": "nobody's", "metric": "reward", "value": 1}
    assert server.client.post("/v1/outcomes", json=body).json()["receipts"] == ["unknown"]
    raw = server.client.post("/v1/outcomes", content=b'[{"metric": "reward", "value": NaN}]')
    assert raw.status_code == 400
