"""What Prometheus makes of a real server: every rule and every panel has data."""

from __future__ import annotations

import pytest

from .files import DASHBOARD, QUERIES, RECORDED, RULES, metric_names
from .prometheus import Prometheus

QUERIES_WITH_DATA = [
    pytest.param(query, id=f"{title}-{number}") for number, (title, query) in enumerate(QUERIES)
]


def filled_in(query: str) -> str:
    """A query as Grafana sends it for all jobs and instances, over few seconds."""
    for variable, value in (("job", ".+"), ("instance", ".+"), ("__rate_interval", "10s")):
        query = query.replace(f"${variable}", value)
    assert "$" not in query
    return query


def test_rules_are_loaded_and_healthy(prometheus: Prometheus) -> None:
    assert prometheus.wait_for("job:nestling_requests:rate5m")
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {r.get("record") or r.get("alert") for r in RULES}
    for name in RECORDED:
        assert prometheus.wait_for(name), name
    for rule in (rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]):
        assert rule["health"] == "ok", rule.get("lastError")


@pytest.mark.parametrize("query", QUERIES_WITH_DATA)
def test_every_panel_has_data(prometheus: Prometheus, query: str) -> None:
    assert prometheus.wait_for(filled_in(query))


def test_every_query_is_understood(prometheus: Prometheus) -> None:
    annotations = [annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]]
    for query in annotations + [query for _, query in QUERIES]:
        prometheus.values(filled_in(query))  # Prometheus refuses what it does not understand


def test_no_query_names_a_metric_that_does_not_exist(prometheus: Prometheus) -> None:
    for name in RECORDED:
        prometheus.wait_for(name)
    existing = set(prometheus.ask("label/__name__/values"))
    queries = [rule["expr"] for rule in RULES] + [query for _, query in QUERIES]
    names = set().union(*map(metric_names, queries))
    assert names <= existing
    assert "nestling_guarantee_broken" in names  # the names are found at all


def test_variables_have_choices(prometheus: Prometheus) -> None:
    prometheus.wait_for("nestling_build_info")
    for label in ("job", "instance"):
        [choice] = prometheus.ask(f"label/{label}/values", **{"match[]": "nestling_build_info"})
        assert choice
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "job", "instance"}


def test_an_alert_comes_up(prometheus: Prometheus) -> None:
    """At this price the first seconds cost more than the budget of an hour."""
    assert prometheus.wait_for('ALERTS{alertname="NestlingCostOverBudget"}')
