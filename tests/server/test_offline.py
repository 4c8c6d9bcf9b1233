"""A file's texts are answered as the server answers them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestling.models.offline.answers import TextLimits
from nestling.models.offline.run import OfflineRequest, classify_file

from .serving import Server

TOP = ("label", "reason")
OF_DECISION = ("model", "student", "limited_by", "tokens", "flops", "relative_cost", "weights")


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        ("auto", {}),
        ("short", {}),
        ("small", {}),
        ("auto", {"min_confidence": 0.6}),
        ("auto", {"max_cost": 0.5}),
        ("auto", {"min_confidence": 0.9, "max_cost": 1.1}),
    ],
)
def test_as_the_server_answers(
    server: Server,
    calibrated_dir: Path,
    texts: list[str],
    tmp_path: Path,
    policy: str,
    asked: dict[str, float],
) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    limits = TextLimits(**asked)
    request = OfflineRequest(calibrated_dir, policy, limits=limits, runner="torch", processes=1)
    classify_file(request, path, out)
    expected = server.classify(texts, model=policy, **asked)
    for line, answer in zip(out.read_text().splitlines(), expected, strict=True):
        row = json.loads(line)
        assert {name: row[name] for name in TOP} == {name: answer[name] for name in TOP}
        assert {name: row[name] for name in OF_DECISION} == {
            name: answer["decision"][name] for name in OF_DECISION
        }
        assert row["score"] == pytest.approx(answer["score"], abs=2e-6)
