"""What deploy/ ships, read once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager"
GRAFANA = ROOT / "deploy" / "grafana"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


RULES = [
    rule
    for path in sorted((PROMETHEUS / "rules").glob("*.yml"))
    for group in load(path)["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = [rule["record"] for rule in RULES if "record" in rule]
DASHBOARD = json.loads((GRAFANA / "dashboards" / "nestling.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]

_STRING = re.compile(r'"[^"]*"')
_NO_NAMES = re.compile(
    r"\{[^}]*\}|\[[^]]*\]|\boffset\s+\w+"
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
)
_NAME = re.compile(r"\b[a-zA-Z_:][\w:]*\b(?![\w:]|\s*\()")
_OPERATORS = {"and", "or", "unless", "bool", "atan2"}


def metric_names(query: str) -> set[str]:
    """The metrics that a query in PromQL reads; a function is a name before a parenthesis."""
    return set(_NAME.findall(_NO_NAMES.sub(" ", _STRING.sub("", query)))) - _OPERATORS
