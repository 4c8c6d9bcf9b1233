"""Experiments with a checkpoint whose texts may have several labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from ..several_labels import write_several
from .recording import ask, declaration, running, start, store, until


def test_outcomes_are_sets(tmp_path: Path, texts: list[str]) -> None:
    several = write_several(tmp_path, texts)
    right: dict[str, list[bool]] = {"control": [], "small": []}
    outcomes, shown = [], {}
    with start(several.path, tmp_path / "record", declaration(running())) as server:
        for number, asked in enumerate(texts[:20]):
            variants, response = ask(server, f"user-{number}", inputs=asked)
            labels, identity = response.json()["labels"], response.headers["x-request-id"]
            truth = labels[::-1] if number % 3 else [*labels, "alarm"]
            right[variants["smaller"]].append(set(truth) == set(labels))
            shown[identity] = labels
            outcomes.append({"request_id": identity, "metric": "label", "value": truth})
        until(lambda: server.metrics()["nestling_exposures_written_total"] == 20)
        stored = server.client.post("/v1/outcomes", json=outcomes)
        assert stored.json()["counts"] == {"stored": 20}, stored.text
        report = server.client.get("/v1/experiments/smaller").json()
        for value, message in (
            (["alarm", "rain"], "value: 'rain' is none of the 6 labels"),
            ("alarm", "value: one label, where a text may have several"),
            (["alarm"] * 63, "value: 63 labels; the limit is 62"),
            (["alarm", 3], "value[1]: expected a string, got a number"),
        ):
            response = server.client.post("/v1/outcomes", json={**outcomes[0], "value": value})
            assert response.status_code == 422
            assert response.json()["error"]["message"].startswith(message)
    for variant in report["variants"]:
        seen = right[variant["name"]]
        assert variant["mean"] == pytest.approx(sum(seen) / len(seen))
    with create_engine(store(tmp_path / "record")).connect() as connection:
        rows = connection.execute(text("SELECT request_id, label FROM exposures")).all()
    assert {identity: json.loads(label) for identity, label in rows} == {
        identity: sorted(labels) for identity, labels in shown.items()
    }
