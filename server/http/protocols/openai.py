"""`POST /v1/embeddings` as OpenAI has it: a vector for each text, by any student."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from pydantic import Field, Tag
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...core.policies import AUTO
from ...core.requests import Inputs
from ...errors import Reason, RequestError
from ..answering import embed
from ..body import Body, Strings, check_count, inputs_of, read
from ..body_errors import expects
from ..errors import BAD_REQUEST, TEXT, ErrorFormat, object_schema
from ..openapi import json_shown, request_body
from ..route import MeasuredRoute, json_response, service_of
from .token_ids import as_integers, check_ids


def _error(error: RequestError) -> dict[str, Any]:
    kind = "invalid_request_error"
    if error.reason is Reason.OVERLOADED:
        kind = "rate_limit_error"
    elif error.status >= 500:
        kind = "server_error"
    code = "model_not_found" if error.reason is Reason.UNKNOWN_MODEL else str(error.reason)
    return {"error": {"message": str(error), "type": kind, "param": error.field, "code": code}}


OPENAI = ErrorFormat(
    _error,
    object_schema(
        error=object_schema(message=TEXT, type=TEXT, param={"type": ["string", "null"]}, code=TEXT)
    ),
    BAD_REQUEST,
    namespace="/v1",
)
router = APIRouter(route_class=MeasuredRoute.rendering(OPENAI), tags=["OpenAI"])

Ids = Annotated[list[int], Field(fail_fast=True)]
Rows = Annotated[
    list[Annotated[Ids, expects(list, "a list of token ids, as the first")]], Field(fail_fast=True)
]

Encoding = Literal["float", "base64"]


class EmbeddingsRequest(Body):
    """input: texts, or token ids of this checkpoint's tokenizer, special tokens included.

    dimensions: a prefix of the vector. encoding_format: `base64` for little-endian float32.
    user: without effect. A null counts as left out.
    """

    example: ClassVar[str] = '{"input": "…", "model": "auto"}'

    input: Annotated[
        Annotated[str, Tag("a string")]
        | Strings
        | Annotated[Ids, Tag("a list of token ids")]
        | Annotated[Rows, Tag("a list of such lists")],
        Field(union_mode="left_to_right"),
    ]
    model: str | None = None
    encoding_format: Annotated[Encoding, expects(str, "a string")] | None = None
    dimensions: int | None = None
    user: str | None = None


class Embedding(TypedDict):
    """One text's vector."""

    object: str
    index: int
    embedding: list[float] | str


class Usage(TypedDict):
    """Tokens of all texts, special tokens included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(TypedDict):
    """In the order of the texts."""

    object: str
    data: list[Embedding]
    model: str
    usage: Usage


@router.post(
    "/v1/embeddings",
    summary="Embeddings of a text or a list of texts",
    response_model=None,
    responses={
        200: json_shown(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}],
                "model": AUTO,
                "usage": {"prompt_tokens": 9, "total_tokens": 9},
            },
            EmbeddingList,
        ),
        **OPENAI.documented(),
    },
    openapi_extra=request_body(
        EmbeddingsRequest, {"input": "how do i say goodbye in french", "model": AUTO}
    ),
)
async def embeddings(request: Request) -> Response:
    """Vectors of length 1. A cascade stands for its last student."""
    service = service_of(request)
    body = await read(request, EmbeddingsRequest, service.settings.max_body_bytes)
    model = AUTO if body.model is None else body.model
    inputs = _inputs(
        body.input,
        service.settings.max_client_batch,
        service.manifest.architecture.ids,
    )
    found = await embed(request, inputs, model, body.dimensions)
    rows = found.vectors
    return json_response(
        {
            "object": "list",
            "data": [
                {
                    "object": "embedding",
                    "index": index,
                    "embedding": _encoded(row, body.encoding_format),
                }
                for index, row in enumerate(rows)
            ],
            "model": model,
            "usage": {"prompt_tokens": found.tokens, "total_tokens": found.tokens},
        }
    )


def _encoded(row: NDArray[np.float32], encoding: str | None) -> str | list[float]:
    if encoding == "base64":
        return b64encode(row.astype("<f4", copy=False).tobytes()).decode()
    values: list[float] = row.tolist()
    return values


def _inputs(value: Any, limit: int, vocabulary: int) -> Inputs:
    """value: as in `EmbeddingsRequest`; its first element says which."""
    if not value or isinstance(value, str) or isinstance(value[0], str):
        return inputs_of(value, limit, "input")
    single = isinstance(value[0], int)
    rows = [value] if single else value
    check_count(len(rows), limit, "input")
    named = Inputs([], single, [], "input")
    tokens = [_ids(row, vocabulary, named.field(index)) for index, row in enumerate(rows)]
    return replace(named, tokens=tokens)


def _ids(row: list[int], vocabulary: int, field: str) -> list[int]:
    if not row:
        raise RequestError(Reason.EMPTY, "an empty list; expected at least one token id", field)
    return check_ids(as_integers(row, field), vocabulary, field)
