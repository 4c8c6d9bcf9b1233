"""Traces in OpenTelemetry: each request as a span, with what became of its texts as its children.

Spans are made once the answer has gone, from what its decisions have recorded anyway, and leave in
batches from a thread of the exporter's own: nothing is measured for their sake, nobody waits for
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from time import time_ns

from starlette.datastructures import Headers
from starlette.types import Scope

from ...models.cascade.decisions import Decision
from ...models.errors import NestlingError, missing_extra
from ..core.requests import Answers
from ..telemetry.requests import REQUEST_ID

try:
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    from opentelemetry.util.types import AttributeValue
except ModuleNotFoundError as missing:
    raise NestlingError(missing_extra(str(missing.name), "tracing", "otel")) from missing

UNTRACED = (
    "/health",
    "/metrics",
    "/v2/health/live",
    "/v2/health/ready",
    "/docs",
    "/openapi.json",
)
"""What probes and scrapers ask, and the documentation."""
CONSOLE = "/console"
"""What begins so is untraced too: a page, and a stream that lasts as long as somebody looks."""
MOST_TEXTS = 8
"""Of one request that get spans of their own: a queue of spans must not overflow by one client."""


class Traces:
    """Makes spans and exports them by OTLP over HTTP.

    endpoint: of the collector, without a path. A `traceparent` that is not sampled is not traced.
    What the standard's own variables (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, …) say holds.
    """

    def __init__(self, endpoint: str) -> None:
        ours = Resource({"service.name": "nestling", "service.version": version("nestling")})
        self._provider = TracerProvider(
            resource=Resource.create().merge(ours).merge(OTELResourceDetector().detect()),
            id_generator=_RequestIds(),
        )
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("nestling", version("nestling"))
        self._propagator = TraceContextTextMapPropagator()

    def close(self) -> None:
        """Export what is left; blocks meanwhile."""
        self._provider.shutdown()

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """A request has just ended, after so long. status: 0 if nothing was answered."""
        if scope["path"] in UNTRACED or scope["path"].startswith(CONSOLE):
            return
        ended = time_ns()
        method, route = scope["method"], getattr(scope.get("route"), "path", None)
        span = self._tracer.start_span(
            f"{method} {route}" if route else method,
            self._propagator.extract(Headers(scope=scope), Context()),
            SpanKind.SERVER,
            start_time=ended - _nanoseconds(seconds),
        )
        if span.is_recording():
            span.set_attributes(
                {
                    "http.request.method": method,
                    "url.path": scope["path"],
                    "url.scheme": scope["scheme"],
                    "nestling.request_id": REQUEST_ID.get(),
                }
            )
            if route:
                span.set_attribute("http.route", route)
            if status:
                span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_attribute("error.type", str(status))
                span.set_status(StatusCode.ERROR)
            result = scope.get("result")
            if isinstance(result, Answers):
                self._answers(span, result, ended)
        span.end(ended)

    def _answers(self, parent: Span, answers: Answers, ended: int) -> None:
        decisions, context = answers.decisions, set_span_in_context(parent)
        parent.set_attributes(
            {
                "nestling.cascade": decisions[0].cascade.name,
                "nestling.texts": len(decisions),
                "nestling.brownout": max(decision.brownout for decision in decisions),
                "nestling.cached": sum(decision.cached for decision in decisions),
                "nestling.abstained": sum(decision.abstained for decision in decisions),
            }
        )
        began = ended - _nanoseconds(answers.total_seconds)
        tokens = sum(len(decision.tokens) for decision in decisions)
        tokenized = self._child(
            context, "tokenize", began, answers.tokenize_seconds, {"nestling.tokens": tokens}
        )
        for index, decision in enumerate(decisions[:MOST_TEXTS]):
            if not decision.cached:
                self._decision(context, decision, index, tokenized)

    def _decision(self, context: Context, decision: Decision, index: int, began: int) -> None:
        """A text's waits are one span, before all of its stages: their sum is what is known.

        The time of its batches is shared among its stages as their device time is.
        """
        text = {"nestling.text": index}
        at = self._child(context, "queue", began, decision.waited, text)
        for step in decision.steps:
            share = step.seconds / decision.seconds if decision.seconds else 0.0
            at = self._child(
                context,
                "stage",
                at,
                share * decision.ran,
                {
                    **text,
                    "nestling.stage.student": step.stage.student.name,
                    "nestling.stage.confidence": step.confidence,
                    "nestling.stage.score": step.stage.score.value,
                    "nestling.stage.score_value": step.score,
                    "nestling.stage.threshold": step.threshold,
                    "nestling.stage.energy": step.energy,
                    "nestling.stage.scope": step.stage.scope,
                    "nestling.stage.accepted": step.accepted,
                    "nestling.stage.flops": step.flops,
                    "nestling.stage.device_seconds": step.seconds,
                },
            )

    def _child(
        self,
        context: Context,
        name: str,
        began: int,
        seconds: float,
        attributes: Mapping[str, AttributeValue],
    ) -> int:
        """Returns when it ended."""
        ended = began + _nanoseconds(seconds)
        span = self._tracer.start_span(name, context, attributes=attributes, start_time=began)
        span.end(ended)
        return ended


class _RequestIds(RandomIdGenerator):
    """A trace that begins here has the request's id, by which the log and the answer know it."""

    def generate_trace_id(self) -> int:
        try:
            given = int(REQUEST_ID.get(), 16)
        except ValueError:  # the client's own, of another form
            return super().generate_trace_id()
        return given if 0 < given < 2**128 else super().generate_trace_id()


def _nanoseconds(seconds: float) -> int:
    return round(1e9 * seconds)
