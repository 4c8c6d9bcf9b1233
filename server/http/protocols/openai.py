"""`POST /v1/embeddings` as OpenAI has it: a vector for each text, by any student."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any, Literal, NotRequired

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...core.policies import AUTO
from ...core.requests import Inputs
from ...errors import Reason, RequestError
from ..answering import embed
from ..body import NamedInputs, check_count, check_fields, check_texts, read_json, wrong_type
from ..errors import OPENAI
from ..route import (
    MeasuredRoute,
    json_response,
    json_shown,
    request_body,
    service_of,
)
from .token_ids import as_integers, check_ids

FIELDS = ("input", "model", "encoding_format", "dimensions", "user")
ENCODINGS = ("float", "base64")
EXAMPLE = '{"input": "…", "model": "auto"}'


router = APIRouter(route_class=MeasuredRoute, tags=["OpenAI"])


class EmbeddingsRequest(TypedDict):
    """input: texts, or token ids of this checkpoint's tokenizer, special tokens included.

    dimensions: a prefix of the vector. encoding_format: `base64` for little-endian float32.
    user: without effect. A null counts as left out.
    """

    input: str | list[str] | list[int] | list[list[int]]
    model: NotRequired[str | None]
    encoding_format: NotRequired[Literal["float", "base64"] | None]
    dimensions: NotRequired[int | None]
    user: NotRequired[str | None]


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
        TypeAdapter(EmbeddingsRequest).json_schema(),
        {"input": "how do i say goodbye in french", "model": AUTO},
    ),
)
async def embeddings(request: Request) -> Response:
    """Vectors of length 1. A cascade stands for its last student."""
    service = service_of(request)
    body = check_fields(
        await read_json(request, service.settings.max_body_bytes, example=EXAMPLE),
        FIELDS,
        "input",
        EXAMPLE,
    )
    model, dimensions = _text(body, "model", AUTO), body.get("dimensions")
    _text(body, "user", "")
    encoding = _text(body, "encoding_format", ENCODINGS[0])
    if encoding not in ENCODINGS:
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{encoding[:64]!r} is none of {', '.join(ENCODINGS)}",
            "encoding_format",
        )
    if dimensions is not None and (isinstance(dimensions, bool) or not isinstance(dimensions, int)):
        raise wrong_type("dimensions", dimensions, "an integer")
    inputs = _inputs(
        body["input"],
        service.settings.max_client_batch,
        service.manifest.architecture.vocabulary,
    )
    found = await embed(request, inputs, model, dimensions)
    rows = found.vectors
    return json_response(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _encoded(row, encoding)}
                for index, row in enumerate(rows)
            ],
            "model": model,
            "usage": {"prompt_tokens": found.tokens, "total_tokens": found.tokens},
        }
    )


def _encoded(row: NDArray[np.float32], encoding: str) -> str | list[float]:
    if encoding == "base64":
        return b64encode(row.astype("<f4", copy=False).tobytes()).decode()
    values: list[float] = row.tolist()
    return values


def _text(body: dict[str, Any], field: str, default: str) -> str:
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, str):
        raise wrong_type(field, value, "a string")
    return value


def _inputs(value: Any, limit: int, vocabulary: int) -> Inputs:
    """The first element says which: strings, a text's ids, or lists of ids."""
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, bool) or not isinstance(first, int | list):
        single = not isinstance(value, list)
        texts = NamedInputs([value] if single else value, single=single, name="input")
        return check_texts(texts, limit, "input")
    single = isinstance(first, int)
    named = NamedInputs([], single=single, tokens=[], name="input")
    rows = [value] if single else value
    check_count(len(rows), limit, "input")
    tokens = [_ids(row, vocabulary, named.field(index)) for index, row in enumerate(rows)]
    return replace(named, tokens=tokens)


def _ids(row: Any, vocabulary: int, field: str) -> list[int]:
    if not isinstance(row, list):
        raise wrong_type(field, row, "a list of token ids, as the first")
    if not row:
        raise RequestError(Reason.EMPTY, "an empty list; expected at least one token id", field)
    return check_ids(as_integers(row, field), vocabulary, field)
