"""Experiments are declared, by file or by request, and taken whole or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from nestling.models import load_checkpoint
from nestling.models.checkpoint.save import write_calibration

from ...experiments.store.cluster import PASSWORD
from ..serving import NESTLING, Server
from .recording import (
    ADMIN,
    ADMIN_HASH,
    ask,
    declaration,
    put,
    running,
    start,
    store,
    until,
)


@pytest.mark.parametrize("header", ["Authorization", "COOKIE", "X-API-Key", "X-Auth-Token"])
def test_a_secret_is_no_unit(server: Server, header: str) -> None:
    response = put(server, declaration(running(), running("other", unit={"header": header})))
    assert response.status_code == 422
    [problem] = response.json()["error"]["problems"]
    assert problem.startswith(f"experiments[1].unit.header: {header.lower()!r} holds a secret")


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
