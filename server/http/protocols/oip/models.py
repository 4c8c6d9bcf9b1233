"""The Open Inference Protocol's questions about the server and its models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ....errors import Reason
from ...openapi import json_shown, path_parameters
from ...route import ProtocolRoute, json_response, service_of
from ..admin.health import is_ready
from .infer import OUTPUTS, VERSION, served_model
from .request import DATATYPES, OPEN_INFERENCE, TAG

router = APIRouter(route_class=ProtocolRoute.rendering(OPEN_INFERENCE), tags=[TAG])
_SHAPES = {"input_ids": [-1, -1]}
_UNKNOWN = OPEN_INFERENCE.documented(Reason.UNKNOWN_MODEL)
_READINESS: dict[int | str, dict[str, Any]] = {
    200: json_shown({"name": "auto", "ready": True}),
    503: json_shown({"name": "auto", "ready": False}),
    **_UNKNOWN,
}
_SERVER = {"name": "nestling", "version": "0.1.0", "extensions": ["binary_tensor_data"]}
_METADATA = {
    "name": "auto",
    "versions": [VERSION],
    "platform": "nestling",
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "label", "datatype": "BYTES", "shape": [-1]}],
}
_INDEX = [{"name": "auto", "version": VERSION, "state": "READY", "reason": ""}]
_MODEL = path_parameters(model="auto")
_VERSIONED = path_parameters(model="auto", version=VERSION)


class TensorMetadata(TypedDict):
    """shape: -1 for what varies."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(TypedDict):
    """A cascade or a student."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(TypedDict):
    """extensions: `binary_tensor_data`."""

    name: str
    version: str
    extensions: list[str]


class IndexEntry(TypedDict):
    """state: READY or UNAVAILABLE, then with the reason."""

    name: str
    version: str
    state: str
    reason: str


@router.get(
    "/v2",
    summary="Name, version and extensions",
    response_model=None,
    responses={200: json_shown(_SERVER, ServerMetadata)},
)
async def server_metadata(request: Request) -> Response:
    """What this server is."""
    body: ServerMetadata = {
        "name": "nestling",
        "version": version("nestling"),
        "extensions": ["binary_tensor_data"],
    }
    return json_response(body)


@router.get(
    "/v2/models/{model}/ready",
    summary="Whether a model answers",
    response_model=None,
    responses=_READINESS,
    openapi_extra=_MODEL,
)
@router.get(
    "/v2/models/{model}/versions/{version}/ready",
    summary="Whether a model answers",
    response_model=None,
    responses=_READINESS,
    openapi_extra=_VERSIONED,
)
async def model_ready(request: Request) -> Response:
    """All models answer from the same engine."""
    model, answering = served_model(request), is_ready(request)
    return json_response({"name": model, "ready": answering}, 200 if answering else 503)


@router.get(
    "/v2/models/{model}",
    summary="Inputs and outputs of a model",
    response_model=None,
    responses={200: json_shown(_METADATA, ModelMetadata), **_UNKNOWN},
    openapi_extra=_MODEL,
)
@router.get(
    "/v2/models/{model}/versions/{version}",
    summary="Inputs and outputs of a model",
    response_model=None,
    responses={200: json_shown(_METADATA, ModelMetadata), **_UNKNOWN},
    openapi_extra=_VERSIONED,
)
async def model_metadata(request: Request) -> Response:
    """The same for every cascade and student. Give `text`, or `input_ids` and `lengths`."""
    head = service_of(request).manifest.architecture.head()
    shapes = _SHAPES | {"probabilities": [-1, len(head.labels)]}
    if head.inputs == "pair":
        shapes |= {"text": [-1, 2]}

    def described(datatypes: Mapping[Any, str]) -> list[Any]:
        return [
            {"name": name, "datatype": datatype, "shape": shapes.get(name, [-1])}
            for name, datatype in datatypes.items()
        ]

    body: ModelMetadata = {
        "name": served_model(request),
        "versions": [VERSION],
        "platform": "nestling",
        "inputs": described(DATATYPES),
        "outputs": described(OUTPUTS),
    }
    return json_response(body)


@router.post(
    "/v2/repository/index",
    summary="All models",
    response_model=None,
    responses={200: json_shown(_INDEX, list[IndexEntry])},
)
async def repository_index(request: Request) -> Response:
    """`auto`, cascades and students."""
    service = service_of(request)
    state, reason = ("READY", "") if service.ready else ("UNAVAILABLE", "the engine has ended")
    entries: list[IndexEntry] = [
        {"name": name, "version": VERSION, "state": state, "reason": reason}
        for name in service.policies
    ]
    return json_response(entries)
