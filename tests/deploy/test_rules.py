"""The rules are valid, each alert is tested by promtool, and each has its page."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from .files import ALERTS, PROMETHEUS, ROOT, load
from .program import program

UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
RUNBOOK = "docs/monitoring.md"


def promtool(*arguments: str) -> None:
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_configuration_is_valid() -> None:
    promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))


def test_rules_are_valid() -> None:
    promtool("check", "rules", *map(str, (PROMETHEUS / "rules").glob("*.yml")))


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_rules_do_what_they_should(path: Any) -> None:
    promtool("test", "rules", str(path))


def test_every_alert_is_seen_to_fire() -> None:
    fired = {
        case["alertname"]
        for path in UNIT_TESTS
        for group in load(path)["tests"]
        for case in group["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    page, heading = rule["annotations"]["runbook"].split("#")
    assert page == RUNBOOK
    assert heading == rule["alert"].lower()
    assert f"### {rule['alert']}\n" in (ROOT / page).read_text("utf-8")
