"""`POST /v2/models/{model}/infer`: the Open Inference Protocol, version 2, in JSON and binary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from .....models.cascade.decisions import Decision
from ....errors import Reason, RequestError
from ...answer_headers import answer_headers
from ...answering import answer
from ...body import (
    check_contract,
    check_fields,
    check_flag,
    check_known,
    check_object,
    parse_json,
    read_body,
    shown,
    wrong_type,
)
from ...errors import ANSWERING, OPEN_INFERENCE
from ...request_headers import header
from ...route import MeasuredRoute, json_response, path_parameters, service_of
from ..scores import probabilities
from .binary import LENGTH_HEADER, Sections, binary_response, to_bytes
from .inputs import EXAMPLE, read_inputs
from .schema import INFER_BODY, INFER_RESPONSE

VERSION = "1"
OUTPUTS = {
    "label": "BYTES",
    "score": "FP32",
    "probabilities": "FP32",
    "student": "BYTES",
    "cost": "FP32",
}
CONTRACT = ("deadline_ms", "max_cost", "min_confidence")
IGNORED = ("content_type", "headers")
"""What KServe's and MLServer's clients send along; it changes nothing here."""


router = APIRouter(route_class=MeasuredRoute, tags=["Open Inference Protocol"])


@dataclass(frozen=True)
class Wanted:
    """An output that the request asks for. binary: behind the JSON, not in it."""

    name: str
    binary: bool


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: INFER_RESPONSE,
    **OPEN_INFERENCE.documented(*ANSWERING, Reason.INVALID_TENSOR),
}


@router.post(
    "/v2/models/{model}/infer",
    summary="Classify texts or token ids",
    response_model=None,
    responses=_RESPONSES,
    openapi_extra=INFER_BODY | path_parameters(model="auto"),
)
@router.post(
    "/v2/models/{model}/versions/{version}/infer",
    summary="Classify texts or token ids",
    response_model=None,
    responses=_RESPONSES,
    openapi_extra=INFER_BODY | path_parameters(model="auto", version=VERSION),
)
async def infer(request: Request) -> Response:
    """Tensors in, tensors out; `outputs` selects, else all are given."""
    service, started = service_of(request), perf_counter()
    model = served_model(request)
    sections = Sections(
        await read_body(request, service.settings.max_body_bytes),
        header(request, LENGTH_HEADER),
    )
    body = check_fields(
        parse_json(sections.json, EXAMPLE),
        ("id", "inputs", "outputs", "parameters"),
        example=EXAMPLE,
    )
    identifier = body.get("id")
    if identifier is not None and not isinstance(identifier, str):
        raise wrong_type("id", identifier, "a string")
    parameters = check_object(body, "parameters", (*CONTRACT, "binary_data_output", *IGNORED))
    contract = check_contract(parameters, model, started, "parameters.")
    binary = check_flag(parameters, "binary_data_output", within="parameters.")
    wanted = _wanted(body.get("outputs"), binary)
    inputs = read_inputs(
        body["inputs"],
        sections,
        service.settings.max_client_batch,
        service.manifest.architecture.vocabulary,
    )
    answers = await answer(request, inputs, contract)
    content: dict[str, Any] = {"model_name": model, "model_version": VERSION, "outputs": []}
    if identifier:
        content["id"] = identifier
    raw = []
    for one in wanted:
        values = _values(one.name, answers.decisions, service.manifest.architecture.labels)
        output: dict[str, Any] = {"name": one.name, "datatype": OUTPUTS[one.name]}
        output["shape"] = list(np.shape(values))
        if one.binary:
            raw.append(to_bytes(values))
            output["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            output["data"] = values.ravel() if isinstance(values, np.ndarray) else values
        content["outputs"].append(output)
    headers = answer_headers(answers, service.device)
    if any(one.binary for one in wanted):
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


def _wanted(value: Any, binary: bool) -> list[Wanted]:
    if value is None or value == []:
        return [Wanted(name, binary) for name in OUTPUTS]
    if not isinstance(value, list):
        raise wrong_type("outputs", value, "a list")
    wanted: list[Wanted] = []
    for index, item in enumerate(value):
        field = f"outputs[{index}]"
        if not isinstance(item, dict):
            raise wrong_type(field, item, "an object")
        name = item.get("name")
        if not isinstance(name, str) or name not in OUTPUTS:
            raise RequestError(
                Reason.UNKNOWN_FIELD,
                f"{shown(name)} is none of {', '.join(OUTPUTS)}",
                f"{field}.name",
            )
        if name in {one.name for one in wanted}:
            raise RequestError(Reason.INVALID_TENSOR, f"{name!r} is wanted twice", f"{field}.name")
        check_known(item, ("name", "parameters"), within=f"{field}.")
        parameters = check_object(item, "parameters", ("binary_data", "content_type"), f"{field}.")
        own = check_flag(parameters, "binary_data", binary, f"{field}.parameters.")
        wanted.append(Wanted(name, own))
    return wanted


def _values(
    name: str, decisions: Sequence[Decision], labels: Sequence[str]
) -> list[str] | NDArray[np.float32]:
    """(texts,), or (texts, labels) for probabilities."""
    match name:
        case "label":
            return [labels[decision.answer.label] for decision in decisions]
        case "student":
            return [decision.answer.stage.student.name for decision in decisions]
        case "score":
            return np.array([decision.answer.confidence for decision in decisions], np.float32)
        case "cost":
            return np.array([decision.relative_cost for decision in decisions], np.float32)
        case _:
            return probabilities(decisions)
