"""The dashboard is one that Grafana can lay out, and a reader can understand."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest

from .files import DASHBOARD, GRAFANA, PANELS, load

ROWS = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
COLUMNS = 24


def test_rows() -> None:
    assert ROWS == [
        "Traffic and latency",
        "The ladder",
        "Cost",
        "Batching and queue",
        "Overload",
        "Guarantee",
        "Experiments",
        "Process",
    ]


def test_panels_have_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    for place in places:
        assert place["x"] + place["w"] <= COLUMNS
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        grouped = re.search(r"by \(([^)]*)\)", target["expr"])
        if grouped:
            assert labels <= set(grouped[1].split(", "))


def test_provisioning() -> None:
    [source] = load(GRAFANA / "provisioning/datasources/prometheus.yml")["datasources"]
    assert source["type"] == "prometheus"
    assert source["isDefault"]
    [provider] = load(GRAFANA / "provisioning/dashboards/nestling.yml")["providers"]
    assert provider["type"] == "file"
