"""What OpenAPI says of the Open Inference Protocol's bodies."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

Shape = list[int]
Values = list[str] | list[int] | list[list[str]] | list[list[int]]


class InputTensor(TypedDict):
    """data: flat or nested. Behind the JSON instead: `binary_data_size` in the parameters."""

    name: Literal["text", "input_ids", "lengths"]
    datatype: Literal["BYTES", "INT64"]
    shape: Shape
    data: NotRequired[Values | None]
    parameters: NotRequired[dict[str, Any] | None]


class RequestedOutput(TypedDict):
    """parameters: `binary_data` for the tensor behind the JSON."""

    name: Literal["label", "score", "probabilities", "student", "cost"]
    parameters: NotRequired[dict[str, Any] | None]


class InferRequest(TypedDict):
    """Either the input `text`, or `input_ids` and `lengths`.

    parameters: `deadline_ms`, `max_cost`, `min_confidence`, `binary_data_output`. null is as left
    out.
    """

    id: NotRequired[str | None]
    inputs: list[InputTensor]
    outputs: NotRequired[list[RequestedOutput] | None]
    parameters: NotRequired[dict[str, Any] | None]


class OutputTensor(TypedDict):
    """data: flat, row-major; missing where the tensor stands behind the JSON."""

    name: str
    datatype: str
    shape: Shape
    data: NotRequired[list[str] | list[float]]
    parameters: NotRequired[dict[str, Any]]


class InferResponse(TypedDict):
    """One tensor for each output, in the order in which they were asked for."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


class TensorMetadata(TypedDict):
    """shape: -1 for what varies."""

    name: str
    datatype: str
    shape: Shape


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


_BINARY = {"schema": {"type": "string", "format": "binary"}}
INFER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": TypeAdapter(InferRequest).json_schema(),
                "example": {
                    "inputs": [
                        {
                            "name": "text",
                            "datatype": "BYTES",
                            "shape": [1],
                            "data": ["how do i say goodbye in french"],
                        }
                    ],
                    "outputs": [{"name": "label"}, {"name": "score"}],
                },
            },
            "application/octet-stream": _BINARY,
        },
    }
}
INFER_RESPONSE: dict[str, Any] = {
    "model": InferResponse,
    "content": {
        "application/json": {
            "example": {
                "model_name": "auto",
                "model_version": "1",
                "outputs": [
                    {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["translate"]},
                    {"name": "score", "datatype": "FP32", "shape": [1], "data": [0.999127]},
                ],
            }
        },
        "application/octet-stream": _BINARY,
    },
}
