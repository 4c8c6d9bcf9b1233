"""Traces as a collector gets them, over OTLP and HTTP."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from nestling.models import Checkpoint
from nestling.models.errors import NestlingError
from nestling.models.runners.torch import TorchRunner
from nestling.server.build import assemble
from nestling.server.engine.in_process import InProcessExecutor
from nestling.server.http.app import create_app
from nestling.server.settings import Settings

from ..serving import Server, serve

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes what is exported to it."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


@pytest.fixture
def traced(calibrated_dir: Path, tmp_path: Path, collector: Collector) -> Iterator[Server]:
    with serve(calibrated_dir, tmp_path / "log", "--otlp-endpoint", collector.url) as running:
        yield running


def values(attributes: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, str(pair.value.WhichOneof("value")))

    return {pair.key: value(pair) for pair in attributes}


def stop(server: Server) -> None:
    server.terminate()
    assert server.wait() == 0
    assert server.log == ""


def test_a_request_is_a_span_and_its_stages_are_its_children(
    traced: Server, collector: Collector, texts: list[str]
) -> None:
    response = traced.client.post(
        "/v1/classify",
        json={"inputs": texts[:12]},
        headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
    )
    answers = response.json()
    stop(traced)  # what is left is exported
    resource = values(collector.requests[0].resource_spans[0].resource.attributes)
    assert resource["service.name"] == "nestling"
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    [request] = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert request.parent_span_id.hex() == PARENT
    assert request.name == "POST /v1/classify"
    assert values(request.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/classify",
        "url.path": "/v1/classify",
        "url.scheme": "http",
        "nestling.request_id": TRACE,
        "nestling.cascade": "all",
        "nestling.texts": 12,
        "nestling.brownout": 0,
        "nestling.cached": 0,
        "nestling.abstained": 0,
    }
    children = [span for span in collector.spans if span.span_id != request.span_id]
    assert {span.parent_span_id for span in children} == {request.span_id}
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in children)
    [tokenize] = [span for span in children if span.name == "tokenize"]
    assert values(tokenize.attributes) == {
        "nestling.tokens": sum(answer["decision"]["tokens"] for answer in answers)
    }
    assert sum(span.name == "queue" for span in children) == 8  # texts beyond have none
    stages = [values(span.attributes) for span in children if span.name == "stage"]
    for index, answer in enumerate(answers[:8]):
        ours = [stage for stage in stages if stage["nestling.text"] == index]
        assert [
            {
                "student": stage["nestling.stage.student"],
                "confidence": round(stage["nestling.stage.confidence"], 6),
                "score": stage["nestling.stage.score"],
                "score_value": round(stage["nestling.stage.score_value"], 6),
                "threshold": round(stage["nestling.stage.threshold"], 6),
                "energy": round(stage["nestling.stage.energy"], 6),
                "scope": round(stage["nestling.stage.scope"], 6),
                "accepted": stage["nestling.stage.accepted"],
            }
            for stage in ours
        ] == [
            {key: value for key, value in step.items() if key != "label"}
            for step in answer["decision"]["path"]
        ]


def test_what_is_not_sampled_and_what_probes_ask_is_not_traced(
    traced: Server, collector: Collector
) -> None:
    unsampled = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    body = {"inputs": "book a table"}
    assert traced.client.post("/v1/classify", json=body, headers=unsampled).status_code == 200
    for path in ("/health", "/metrics", "/v2/health/ready", "/console", "/console/static/app.js"):
        assert traced.client.get(path).status_code == 200
    stop(traced)
    assert collector.requests == []


def test_a_trace_that_begins_here_has_the_id_of_the_request(
    traced: Server, collector: Collector
) -> None:
    responses = [
        traced.client.post("/v1/classify", json={"inputs": ""}),
        traced.client.post("/v1/embeddings", json={"input": "book", "model": "tiny"}),
        traced.client.post("/nothing", headers={"x-request-id": "order-66"}),
    ]
    stop(traced)
    assert [
        (span.name, values(span.attributes)["http.response.status_code"])
        for span in collector.spans
    ] == [("POST /v1/classify", 422), ("POST /v1/embeddings", 200), ("POST", 404)]
    ids = [span.trace_id.hex() for span in collector.spans]
    assert ids[:2] == [response.headers["x-request-id"] for response in responses[:2]]
    assert re.fullmatch("[0-9a-f]{32}", ids[2])
    assert values(collector.spans[2].attributes)["nestling.request_id"] == "order-66"


def test_without_the_extra_the_error_names_it(
    calibrated: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "nestling.server.http.traces", raising=False)
    executor = InProcessExecutor(TorchRunner(calibrated))
    settings = Settings(otlp_endpoint="http://127.0.0.1:4318")
    inference = assemble(executor, settings, lambda *_: executor)
    with pytest.raises(NestlingError, match=r"not installed; .* pip install '.\[otel\]' in"):
        create_app(inference, settings)


def test_an_endpoint_is_a_url() -> None:
    with pytest.raises(NestlingError, match="otlp_endpoint: 'collector:4318' is no http"):
        Settings(otlp_endpoint="collector:4318")
