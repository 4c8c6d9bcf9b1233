"""The body of an inference request in the Open Inference Protocol, and what its errors name."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from .....models.json_checks import refusal
from ....errors import Reason, RequestError
from ...body import Body, Deadline, MaxCost, MinConfidence, Strings
from ...body_errors import expects, shown
from ...errors import BAD_REQUEST, MESSAGE_SCHEMA, ErrorFormat, message_body

TAG = "Open Inference Protocol"
"""Of its routes in the documentation."""
OPEN_INFERENCE = ErrorFormat(message_body, MESSAGE_SCHEMA, BAD_REQUEST)
DATATYPES = {"text": "BYTES", "input_ids": "INT64", "lengths": "INT64"}
TEXTS, INTEGERS = "a tensor", "a tensor of integers"
"""What errors call the two kinds of tensors."""
_PART = re.compile(r"inputs\[(\d+)\]\.((?:shape|data|parameters|datatype)\b.*)")
_IN_WORDS = ("datatype", "parameters.binary_data_size")
"""The parts that an error's message names already."""


def _is(datatype: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value != datatype:
            raise refusal(Reason.WRONG_TYPE, f"datatype {shown(value)}; it is {datatype}")
        return value

    return BeforeValidator(check)


def _byte_count(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refusal(Reason.INVALID_TENSOR, f"binary_data_size {shown(value)}; it is a byte count")
    return value


def _kind_of(tensor: Any) -> str:
    name = tensor.get("name") if isinstance(tensor, dict) else None
    return INTEGERS if name in ("input_ids", "lengths") else TEXTS


Name = Literal["text", "input_ids", "lengths"]
Shape = Annotated[list[int], Field(fail_fast=True), expects(list, "a list of integers")]
_AList = expects(list, "a list")
_Either = Field(union_mode="left_to_right")
Integers = Annotated[list[int], Tag("a list of integers"), Field(fail_fast=True)]
TextData = Annotated[
    Strings | Annotated[list[Strings], Tag("a list of lists"), Field(fail_fast=True)],
    _Either,
    _AList,
]
IntegerData = Annotated[
    Integers | Annotated[list[Integers], Tag("a list of lists"), Field(fail_fast=True)],
    _Either,
    _AList,
]


class TensorParameters(Body):
    """binary_data_size: bytes of the tensor behind the JSON, in place of `data`."""

    binary_data_size: Annotated[int, BeforeValidator(_byte_count)] | None = None
    content_type: Any | None = None


class Tensor(Body):
    """data: flat, or nested as the shape is. Behind the JSON instead: `binary_data_size`."""

    name: Name
    datatype: str
    shape: Shape
    data: Any | None = None
    parameters: TensorParameters | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_where_missing(cls, value: Any) -> Any:
        """What is left out is refused as null is, in words that name the tensor."""
        return {"datatype": None, "shape": None, **value} if isinstance(value, dict) else value


class TextTensor(Tensor):
    """Texts, one in each row."""

    name: Annotated[Name, WithJsonSchema({"const": "text"})]
    datatype: Annotated[Literal["BYTES"], _is("BYTES")]
    data: TextData | None = None


class IntegerTensor(Tensor):
    """Token ids, a text's in each row, or how many of each row count."""

    name: Annotated[Name, WithJsonSchema({"enum": ["input_ids", "lengths"]})]
    datatype: Annotated[Literal["INT64"], _is("INT64")]
    data: IntegerData | None = None


OutputName = Literal["label", "score", "probabilities", "student", "cost"]


class OutputParameters(Body):
    """binary_data: whether the tensor comes behind the JSON."""

    binary_data: bool | None = None
    content_type: Any | None = None


class RequestedOutput(Body):
    """One of the tensors that an answer may have."""

    name: OutputName
    parameters: OutputParameters | None = None


class InferParameters(Body):
    """The constraints of `/v1/classify`. binary_data_output: whether all outputs come behind the
    JSON. content_type, headers: what KServe's and MLServer's clients send along; without effect.
    """

    deadline_ms: Deadline = None
    max_cost: MaxCost = None
    min_confidence: MinConfidence = None
    binary_data_output: bool | None = None
    content_type: Any | None = None
    headers: Any | None = None


AnyTensor = Annotated[
    Annotated[TextTensor, Tag(TEXTS)] | Annotated[IntegerTensor, Tag(INTEGERS)],
    Discriminator(_kind_of),
]


class InferRequest(Body):
    """Either the input `text`, or `input_ids` and `lengths`. A null counts as left out."""

    example: ClassVar[str] = (
        '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["…"]}]}'
    )

    id: str | None = None
    inputs: Annotated[list[AnyTensor], Field(fail_fast=True), expects(list, "a list of tensors")]
    outputs: Annotated[list[RequestedOutput], Field(fail_fast=True)] | None = None
    parameters: InferParameters | None = None


def by_name(error: RequestError, body: Any) -> RequestError:
    """The error of a body with the name of a tensor in place of its number, where it has one."""
    found = _PART.fullmatch(error.field or "")
    name = body["inputs"][int(found[1])].get("name") if found else None
    if not found or not isinstance(name, str) or name not in DATATYPES:
        return error
    part = found[2]
    field = f"{name}.{part}"
    if part in _IN_WORDS:
        field = name
    elif name == "text" and part.startswith("data["):
        field = f"{name}{part.removeprefix('data')}"
    return RequestError(error.reason, error.message, field, **error.details)
