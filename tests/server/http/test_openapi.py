"""`/openapi.json`: every route with an example that works, and answers that are as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nestling.server.http.keys import new_key
from nestling.server.http.protocols.experiments.declared import EXAMPLE

from ..serving import Server, serve

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 15
"""For each route; generating them takes longer than answering them."""
PATHS = {
    "/": {"post"},
    "/admin/guarantees": {"get"},
    "/admin/guarantees/reset": {"post"},
    "/admin/reload": {"post"},
    "/health": {"get"},
    "/info": {"get"},
    "/metrics": {"get"},
    "/v1/experiments": {"get", "put"},
    "/v1/experiments/{name}": {"get"},
    "/v1/outcomes": {"post"},
    "/models/{model}": {"post"},
    "/predict": {"post"},
    "/v1/classify": {"post"},
    "/v1/embeddings": {"post"},
    "/v1/models": {"get"},
    "/v1/models/{model}": {"get"},
    "/v2": {"get"},
    "/v2/health/live": {"get"},
    "/v2/health/ready": {"get"},
    "/v2/models/{model}": {"get"},
    "/v2/models/{model}/infer": {"post"},
    "/v2/models/{model}/ready": {"get"},
    "/v2/models/{model}/versions/{version}": {"get"},
    "/v2/models/{model}/versions/{version}/infer": {"post"},
    "/v2/models/{model}/versions/{version}/ready": {"get"},
    "/v2/repository/index": {"post"},
}


KEY, DIGEST = new_key()


@pytest.fixture(scope="module")
def server(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that has everything: an administrator, and a record of experiments."""
    folder = tmp_path_factory.mktemp("openapi")
    keys, declared = folder / "keys", folder / "experiments.json"
    keys.write_text(f"admin {DIGEST}\n")
    declared.write_text(json.dumps(EXAMPLE))
    record = ("--experiments", str(declared), "--store", f"sqlite:///{folder / 'store.db'}")
    with serve(calibrated_dir, folder / "log", "--admin-keys", str(keys), *record) as running:
        running.client.headers["X-API-Key"] = KEY
        yield running


@pytest.fixture(scope="module")
def paths(server: Server) -> Any:
    return server.client.get("/openapi.json").json()["paths"]


@pytest.fixture(scope="module")
def described(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_every_route_is_there(paths: Any) -> None:
    assert {path: set(methods) for path, methods in paths.items()} == PATHS


def test_every_reference_leads_somewhere(server: Server) -> None:
    whole = server.client.get("/openapi.json").json()
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole))
    assert {"Parameters", "OutcomeBody"} <= {each.rpartition("/")[2] for each in references}
    for reference in references:
        found = whole
        for part in reference.split("/"):
            found = found[part]
        assert found["type"]


@pytest.mark.parametrize("path", PATHS)
def test_every_example_works(server: Server, paths: Any, path: str) -> None:
    for method, operation in paths[path].items():
        assert operation["summary"]
        values = {p["name"]: p["example"] for p in operation.get("parameters", [])}
        assert all(f"{{{name}}}" in path for name in values)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert content is None or content["schema"]
        body = content["example"] if content else None
        response = server.client.request(method, path.format(**values), json=body)
        assert response.status_code == 200, response.text
        described = operation["responses"]["200"]["content"]
        assert described[response.headers["Content-Type"].split(";")[0]]["example"] is not None


def test_answers_are_as_described(described: Any, server: Server) -> None:
    """Requests that fit the description, and some that do not; never a failure of ours."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    for found in described.get_all_operations():
        operation = found.ok()
        given(case=operation.as_strategy())(check)()
        # A binary body has no schema that a request could break; test_oip_malformed has those.
        if [body.media_type for body in operation.body] == ["application/json"]:
            given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))(check)()
    assert "ERROR" not in server.log
