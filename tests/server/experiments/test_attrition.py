"""Requests that a real server fails, of one variant more than of the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..serving import NESTLING
from .recording import TEXT, declaration, running, start, store, until

VARIANTS = [
    {"name": "tiny", "weight": 1, "policy": "tiny"},
    {"name": "ta", "weight": 1, "policy": "ta"},
]
COST = {"metric": "relative_cost", "smallest_effect": 0.01}


def test_what_fails_is_recorded_and_blocks_the_verdict(
    calibrated_dir: Path, tmp_path: Path
) -> None:
    declared = running(variants=VARIANTS, primary=COST, paired=1)
    with start(calibrated_dir, tmp_path, declaration(declared)) as server:
        answered = 0
        for number in range(80):
            reply = server.client.post(
                "/v1/classify",
                json={"inputs": TEXT, "max_cost": 0.9},
                headers={"X-User-Id": f"user-{number}"},
            )
            assert reply.status_code in (200, 422), reply.text
            answered += reply.status_code == 200
        # Of those that were answered the TA was asked too, and refused.
        expected = 80 + answered
        until(lambda: server.metrics()["nestling_exposures_written_total"] == expected)
        report = server.client.get("/v1/experiments/smaller").json()
    tiny, ta = report["variants"]
    assert (tiny["enrolled"], ta["enrolled"]) == (answered, 80 - answered)
    assert (tiny["error_rate"], ta["error_rate"], ta["pairs"]["units"]) == (0, 1, 0)
    failures, pairs = report["attrition"]
    assert (failures["metric"], failures["treatment"]) == ("error_rate", "ta")
    assert failures["p"] < failures["level"] == 0.01
    assert (pairs["metric"], pairs["p"], pairs["observed"]) == ("answered pairs", 1, 0)
    assert report["verdict"]["outcome"] == "failures"
    sentence = report["verdict"]["sentence"]
    assert sentence.startswith("no verdict: the variants do not fail alike")
    command = [*NESTLING, "experiment", "report", "smaller", "--store", store(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sentence in " ".join(printed.split())
    assert "Missing alike: error_rate p = " in " ".join(printed.split())
