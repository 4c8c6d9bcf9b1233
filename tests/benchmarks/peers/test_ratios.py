"""Medians, ratios within repeats, targets, and the table that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.peers.figure import draw
from benchmarks.peers.ratios import AT_REST, KNEE, best, ours, ratios, spread
from benchmarks.peers.table import markdown, summary


def a_server(
    title: str, knees: list[float], *, ours: bool = False, precision: str = "fp32",
    p50: float = 10.0, accuracy: float = 0.96, limited_by: str = "server",
) -> dict[str, Any]:  # fmt: skip
    return {
        "title": title,
        "ours": ours,
        "precision": precision,
        "settings": "defaults",
        "versions": {"package": "1.0"},
        "command": "serve",
        "errors": {},
        "runs": [
            {
                "repeat": repeat,
                "knee_per_second": knee,
                "list_texts_per_second": 2 * knee,
                "p50_ms": p50,
                "accuracy": accuracy,
                "limited_by": limited_by,
                "memory_mib": 100.0,
                "ready_seconds": 1.0,
            }
            for repeat, knee in enumerate(knees)
        ],
    }


@pytest.fixture
def content() -> dict[str, Any]:
    return {
        "hardware": {"cores": 2},
        "ta_accuracy": 0.96,
        "servers": {
            "nestling": a_server("Nestling", [600, 700, 800], ours=True, precision="int8", p50=3),
            "slow": a_server("Slow", [50, 50, 50], p50=9),
            "fast": a_server("Fast", [60, 60, 100]),
            "small": a_server("Small", [400, 400, 400], precision="int8", accuracy=0.95),
        },
    }


def test_the_best_peer_is_that_of_the_best_median(content: dict[str, Any]) -> None:
    assert best(content, KNEE, "fp32") == "fast"
    assert best(content, KNEE, "int8") == "small"
    assert best(content, KNEE) == "small"
    assert best(content, AT_REST) == "slow"
    del content["servers"]["small"]
    assert best(content, KNEE, "int8") is None


def test_ratios_are_taken_within_repeats(content: dict[str, Any]) -> None:
    knee, int8, lists, at_rest = ratios(content)
    assert (knee.peer, knee.of.median, knee.of.low, knee.of.high) == (
        "fast",
        10,
        8,
        pytest.approx(35 / 3),
    )
    assert knee.met
    assert (int8.peer, int8.of.median, int8.met) == ("small", 1.75, False)
    assert (lists.of.median, lists.met) == (10, True)
    assert (at_rest.peer, at_rest.met) == ("slow", True)
    assert at_rest.of.median == pytest.approx(3 / 9)


def test_bfloat16_is_held_with_int8(content: dict[str, Any]) -> None:
    content["servers"]["half"] = a_server("Half", [500, 500, 500], precision="bf16")
    [int8] = [ratio for ratio in ratios(content) if ratio.peer == "half"]
    assert (int8.target.among, int8.of.median) == ("int8 or bf16", 1.4)
    assert "| Half (int8 or bf16) | 1.40× |" in markdown(content)


def test_ratios_are_those_of_the_defaults_where_they_were_measured(content: dict[str, Any]) -> None:
    assert ours(content) == "nestling"
    content["servers"]["nestling-default"] = a_server("By default", [], ours=True)
    assert ours(content) == "nestling"
    content["servers"]["nestling-default"] = a_server("By default", [900, 900, 900], ours=True)
    assert ours(content) == "nestling-default"
    assert ratios(content)[0].of.median == 15
    assert "| By default over it |" in markdown(content)


def test_a_repeat_that_one_lacks_is_left_out(content: dict[str, Any]) -> None:
    del content["servers"]["nestling"]["runs"][0]
    assert (ratios(content)[0].of.low, ratios(content)[0].of.high) == (8, pytest.approx(35 / 3))
    content["servers"]["nestling"]["runs"] = []
    assert ratios(content) == []


def test_the_table_says_who_wins_and_what_is_doubtful(content: dict[str, Any]) -> None:
    content["servers"]["gone"] = a_server("Gone", []) | {
        "errors": {"0": "ended with status 3", "1": "ended with status 3"}
    }
    content["servers"]["slow"] = a_server("Slow", [50], limited_by="client", p50=1)
    text = markdown(content)
    assert "| Nestling | int8 | **700** (600–800) | **1,400** (1,200–1,600) | 3.0 ms |" in text
    assert "| **1.0 ms** |" in text
    assert "- p50 at 20 requests/s: Slow is the best." in text
    assert "- Small: accuracy is -1.00 points from the TA's 96.00%." in text
    assert "- Slow: beyond its knee it was the client that could not send more." in text
    assert "- Gone: not all could be measured: ended with status 3" in text
    assert (
        "| requests/s, p99 ≤ 100 ms | Fast (fp32) | 10.00× | 8.00 to 11.67 | ≥ 10× | met |" in text
    )
    assert spread(content["servers"]["fast"], "knee_per_second").median == 60
    assert summary(content)["ratios"][1]["met"] is False
    json.dumps(summary(content))


def test_nothing_measured_is_said_so(content: dict[str, Any]) -> None:
    nothing = {"servers": {"gone": a_server("Gone", []) | {"errors": {"preparation": "no"}}}}
    assert "- Gone: not all could be measured: no" in markdown(nothing)
    assert "- The TA's own accuracy was not measured." in markdown(nothing)


def test_the_figure_names_every_server(content: dict[str, Any], tmp_path: Path) -> None:
    draw(content, tmp_path / "docs" / "peers.svg")
    text = (tmp_path / "docs" / "peers.svg").read_text("utf-8")
    ElementTree.fromstring(text)
    for server in content["servers"].values():
        assert server["title"] in text
