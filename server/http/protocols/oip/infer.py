"""`POST /v2/models/{model}/infer`: the Open Inference Protocol, version 2, in JSON and binary."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NotRequired

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from .....models.nested.head_spec import HeadSpec
from ....core.naming import written_by
from ....core.requests import Answers
from ....errors import Reason, RequestError
from ...answering import answer
from ...body import check, constraints_of, parse_json, read_body
from ...errors import ANSWERING
from ...headers import answer_headers, header
from ...openapi import BINARY, json_shown, path_parameters, request_body
from ...route import MeasuredRoute, json_response, service_of
from ..scores import probabilities
from .binary import LENGTH_HEADER, Sections, binary_response, to_bytes
from .inputs import read_inputs
from .request import (
    OPEN_INFERENCE,
    TAG,
    InferParameters,
    InferRequest,
    OutputName,
    RequestedOutput,
    by_name,
)

VERSION = "1"
OUTPUTS: dict[OutputName, str] = {
    "label": "BYTES",
    "score": "FP32",
    "probabilities": "FP32",
    "student": "BYTES",
    "cost": "FP32",
}

router = APIRouter(route_class=MeasuredRoute.rendering(OPEN_INFERENCE), tags=[TAG])


class OutputTensor(TypedDict):
    """data: flat, row-major; missing where the tensor stands behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: NotRequired[list[str] | list[float]]
    parameters: NotRequired[dict[str, Any]]


class InferResponse(TypedDict):
    """One tensor for each output, in the order in which they were asked for."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


_TEXT = {
    "name": "text",
    "datatype": "BYTES",
    "shape": [1],
    "data": ["how do i say goodbye in french"],
}
_BODY = request_body(
    InferRequest,
    {"inputs": [_TEXT], "outputs": [{"name": "label"}, {"name": "score"}]},
    others={"application/octet-stream": BINARY},
)
_ANSWER = json_shown(
    {
        "model_name": "auto",
        "model_version": "1",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["translate"]},
            {"name": "score", "datatype": "FP32", "shape": [1], "data": [0.998069]},
        ],
    },
    InferResponse,
    others={"application/octet-stream": BINARY},
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _ANSWER,
    **OPEN_INFERENCE.documented(*ANSWERING, Reason.INVALID_TENSOR),
}


@router.post(
    "/v2/models/{model}/infer",
    summary="Classify texts or token ids",
    response_model=None,
    responses=_RESPONSES,
    openapi_extra=_BODY | path_parameters(model="auto"),
)
@router.post(
    "/v2/models/{model}/versions/{version}/infer",
    summary="Classify texts or token ids",
    response_model=None,
    responses=_RESPONSES,
    openapi_extra=_BODY | path_parameters(model="auto", version=VERSION),
)
async def infer(request: Request) -> Response:
    """Tensors in, tensors out; `outputs` selects, else all are given.

    The label is empty where the policy abstains, since the text is out of scope; a list in JSON
    where a text may have several.
    """
    service, started = service_of(request), perf_counter()
    model = served_model(request)
    sections = Sections(
        await read_body(request, service.settings.max_body_bytes),
        header(request, LENGTH_HEADER),
    )
    value = parse_json(sections.json, InferRequest.example)
    try:
        body = check(value, InferRequest)
    except RequestError as error:
        raise by_name(error, value) from None
    asked = body.parameters or InferParameters()
    wanted = _wanted(body.outputs, asked.binary_data_output)
    inputs = read_inputs(
        body.inputs,
        sections,
        service.settings.max_client_batch,
        service.manifest.architecture.ids,
    )
    constraints = constraints_of(
        model, started, asked.deadline_ms, asked.max_cost, asked.min_confidence
    )
    answers = await answer(request, inputs, constraints)
    content: dict[str, Any] = {"model_name": model, "model_version": VERSION, "outputs": []}
    if body.id:
        content["id"] = body.id
    raw = []
    for name, binary in wanted.items():
        values = _values(name, answers, service.manifest.architecture.head())
        output: dict[str, Any] = {"name": name, "datatype": OUTPUTS[name]}
        output["shape"] = list(np.shape(values))
        if binary:
            raw.append(to_bytes(values))
            output["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            output["data"] = values.ravel() if isinstance(values, np.ndarray) else values
        content["outputs"].append(output)
    headers = answer_headers(answers, service.device)
    if raw:
        return binary_response(content, raw, headers)
    return json_response(content, headers=headers)


def served_model(request: Request) -> str:
    """The model in a request's path. Raises RequestError if it, or its version, is not served."""
    model: str = request.path_params["model"]
    service_of(request).policies[model]  # or it is unknown
    version = request.path_params.get("version", VERSION)
    if version != VERSION:
        raise RequestError(
            Reason.UNKNOWN_MODEL,
            f"{version[:64]!r}; {model!r} has version {VERSION} only",
            "version",
            known=[VERSION],
        )
    return model


def _wanted(
    outputs: Sequence[RequestedOutput] | None, binary: bool | None
) -> dict[OutputName, bool]:
    """The outputs of an answer, and whether each comes behind the JSON.

    binary: where an output does not say it itself.
    """
    wanted: dict[OutputName, bool] = {}
    for index, output in enumerate(outputs or ()):
        if output.name in wanted:
            raise RequestError(
                Reason.INVALID_TENSOR, f"{output.name!r} is wanted twice", f"outputs[{index}].name"
            )
        own = output.parameters.binary_data if output.parameters else None
        wanted[output.name] = bool(binary if own is None else own)
    return wanted or dict.fromkeys(OUTPUTS, bool(binary))


def _values(name: str, answers: Answers, head: HeadSpec) -> list[str] | NDArray[np.float32]:
    """(texts,), or (texts, labels) for probabilities."""
    told = answers.told
    match name:
        case "label":
            columns = zip(told.abstained, told.labels, strict=True)
            written = written_by(head)
            return ["" if without else written(answer) for without, answer in columns]
        case "student":
            return [stage.student.name for stage in told.stages]
        case "score":
            return np.array(told.confidences, np.float32)
        case "cost":
            return np.array(told.costs, np.float32)
        case _:
            return probabilities(answers, head)
