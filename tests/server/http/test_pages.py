"""What a browser is shown: the root, the documentation, and where the metrics are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nestling.server.console.routes import PARTS
from nestling.server.http.keys import new_key

from ..serving import Server, serve

USER_DIGEST, ADMIN_DIGEST = new_key()[1], new_key()[1]
ASSETS = ("docs.js", "swagger-ui-bundle.js", "swagger-ui.css")
LOADS = re.compile(
    r"""(?:(?:src|href)=["']?|url\(["']?|from ["'])(?:https?:)?//|@import""",
    re.IGNORECASE,
)
"""What makes a page load something from another host."""


@pytest.fixture(scope="module")
def guarded(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants keys, with a port of its own for its metrics."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "users").write_text(f"ada {USER_DIGEST}\n")
    (folder / "admins").write_text(f"root {ADMIN_DIGEST}\n")
    keys = ("--api-keys", str(folder / "users"), "--admin-keys", str(folder / "admins"))
    with serve(calibrated_dir, folder / "log", *keys, "--metrics-port", "0") as running:
        yield running


def schema_of(server: Server) -> Any:
    return server.client.get("/openapi.json").json()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_root_leads_to_the_console(server: Server, guarded: Server, method: str) -> None:
    for each in (server, guarded):
        response = each.client.request(method, "/")
        assert response.status_code == 307
        assert response.next_request is not None
        assert response.next_request.url == f"{each.url}/console"
        assert "Nestling console" in each.client.get("/", follow_redirects=True).text


def test_a_text_that_is_sent_to_the_root_is_still_answered(server: Server, guarded: Server) -> None:
    assert server.client.post("/", json={"inputs": "play music"}).status_code == 200
    assert guarded.client.post("/", json={"inputs": "play music"}).status_code == 401


def test_the_documentation_is_all_from_here(server: Server, guarded: Server) -> None:
    for each in (server, guarded):
        page = each.client.get("/docs")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert {f"docs/static/{name}" for name in ASSETS} == set(
            re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
        )
        for name in ASSETS:
            response = each.client.get(f"/docs/static/{name}")
            assert response.status_code == 200
            kind = "text/css" if name.endswith(".css") else "text/javascript"
            assert response.headers["Content-Type"].startswith(kind)
            assert len(response.content) > 100
            assert each.client.head(f"/docs/static/{name}").status_code == 200
    assert each.client.get("/docs/static/routes.py").status_code == 404
    assert each.client.get("/docs/static/..%2Froutes.py").status_code == 404


def test_no_page_loads_anything_from_another_host(server: Server) -> None:
    ours = ["/docs/static/docs.js", *(f"/console/static/{name}" for name in PARTS)]
    pages = {path: server.client.get(path) for path in ("/console", "/docs", *ours)}
    for path, response in pages.items():
        assert response.status_code == 200
        assert not LOADS.search(response.text), path
    for path in ("/console", "/docs"):
        policy = pages[path].headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "//" not in policy  # so what the libraries might ask for is refused by the browser
    # By default Swagger UI shows the address of the API to a host of its makers.
    assert "validatorUrl: null" in pages["/docs/static/docs.js"].text


def test_without_keys_there_is_nothing_to_authorize(server: Server) -> None:
    schema = schema_of(server)
    assert "securitySchemes" not in schema.get("components", {})
    for operations in schema["paths"].values():
        assert all("security" not in operation for operation in operations.values())


def test_with_keys_every_route_says_which_it_wants(guarded: Server) -> None:
    schema = schema_of(guarded)
    schemes = schema["components"]["securitySchemes"]
    assert {name: (s["type"], s.get("scheme") or s["name"]) for name, s in schemes.items()} == {
        "ApiKeyBearer": ("http", "bearer"),
        "ApiKeyHeader": ("apiKey", "X-API-Key"),
        "AdminKeyBearer": ("http", "bearer"),
        "AdminKeyHeader": ("apiKey", "X-API-Key"),
    }
    user = [{"ApiKeyBearer": []}, {"ApiKeyHeader": []}]
    admin = [{"AdminKeyBearer": []}, {"AdminKeyHeader": []}]
    paths = schema["paths"]
    assert paths["/v1/classify"]["post"]["security"] == user
    assert paths["/v1/experiments"]["get"]["security"] == user
    assert paths["/v1/experiments"]["put"]["security"] == admin
    assert paths["/admin/reload"]["post"]["security"] == admin
    assert "security" not in paths["/health"]["get"]


def test_what_the_description_says_is_so(guarded: Server) -> None:
    for path, operations in schema_of(guarded)["paths"].items():
        for method, operation in operations.items():
            status = guarded.client.request(method, path).status_code
            assert (status == 401) == ("security" in operation), (method, path, status)


def test_the_metrics_are_found_from_the_other_port(guarded: Server) -> None:
    """With them on a port of their own, the console's link and the documentation lead there."""
    assert 'href="console/metrics"' in guarded.client.get("/console").text
    response = guarded.client.get("/console/metrics")
    assert response.status_code == 307
    assert response.headers["Location"] == f"{guarded.metrics_url}/metrics"
    assert "(console/metrics)" in schema_of(guarded)["info"]["description"]
    assert "/metrics" not in schema_of(guarded)["paths"]
    assert "nestling_tokens_total" in httpx.get(response.headers["Location"]).text
    named = guarded.client.get("/console/metrics", headers={"Host": "models.example:8000"})
    port = guarded.metrics_url.rpartition(":")[2]
    assert named.headers["Location"] == f"http://models.example:{port}/metrics"


def test_the_metrics_are_found_on_the_same_port(server: Server) -> None:
    response = server.client.get("/console/metrics", follow_redirects=True)
    assert response.url == f"{server.url}/metrics"
    assert "nestling_tokens_total" in response.text


def test_the_other_port_has_its_own_documentation(guarded: Server) -> None:
    assert httpx.get(f"{guarded.metrics_url}/docs").status_code == 200
    assert httpx.get(f"{guarded.metrics_url}/docs/static/swagger-ui.css").status_code == 200
    schema = httpx.get(f"{guarded.metrics_url}/openapi.json").json()
    assert {"/metrics", "/health"} <= schema["paths"].keys()
    assert "securitySchemes" not in schema.get("components", {})
