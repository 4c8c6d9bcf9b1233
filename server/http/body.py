"""Request bodies: read within a limit, then checked by the model of what they may hold.

Bodies are JSON whatever their Content-Type says: `curl -d` sends a form's.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from math import inf
from typing import Annotated, Any, ClassVar, TypeVar, cast

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Tag, ValidationError
from starlette.requests import ClientDisconnect, Request

from ...models.inputs.text import parts
from ..core.constraints import RequestConstraints
from ..core.requests import Inputs
from ..errors import Reason, RequestError
from .body_errors import not_json, refused
from .departure import CONNECTION, RequestConnection
from .headers import header

LONGEST_DEADLINE_MS = 3_600_000

Strings = Annotated[list[str], Field(fail_fast=True), Tag("a list of strings")]
Deadline = Annotated[float | None, Field(gt=0, le=LONGEST_DEADLINE_MS)]
MaxCost = Annotated[float | None, Field(gt=0)]
MinConfidence = Annotated[float | None, Field(gt=0, le=1)]


class Body(BaseModel):
    """A JSON object: its schema, its check, and what OpenAPI says of it.

    Optional fields are None by default, so that null counts as left out. example: what an error
    shows to whoever sent no object.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    example: ClassVar[str] = '{"inputs": "…"}'


class TextPair(Body):
    """Two texts that are asked about together, where a checkpoint is for pairs."""

    text: str
    text_pair: str


def _as_tuple(pair: TextPair) -> tuple[str, str]:
    return pair.text, pair.text_pair


Pair = Annotated[TextPair, AfterValidator(_as_tuple), Tag("a pair of texts")]
Pairs = Annotated[list[Pair], Field(fail_fast=True), Tag("a list of pairs")]
Texts = Annotated[
    Annotated[str, Tag("a string")] | Strings | Pair | Pairs, Field(union_mode="left_to_right")
]
"""One text, or pair of texts, or a list. A tag is what an error calls this kind of value."""
B = TypeVar("B", bound=Body)


async def read(request: Request, model: type[B], limit: int, empty: Any = None) -> B:
    """The body as a model. Raises RequestError, before it has read more than `limit` bytes.

    empty: the JSON that a missing body stands for; None if there must be a body.
    """
    body = await read_body(request, limit)
    value = empty if not body and empty is not None else parse_json(body, model.example)
    return check(value, model)


async def read_body(request: Request, limit: int) -> bytes | bytearray:
    """The body. Raises RequestError before it has read more than `limit` bytes.

    A compressed one is refused: a small body could become any number of bytes.
    """
    scope = request.scope
    for name, value in scope["headers"]:
        if name == b"content-encoding":
            _check_encoding(header(request, "content-encoding") or "identity")
        elif name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
    connection: RequestConnection | None = scope.get(CONNECTION)
    if connection and (whole := connection.whole_body()) is not None:
        if len(whole) > limit:
            raise _too_large(limit)
        return whole
    body, more = bytearray(), True
    while more:  # as `Request.stream` does, without what a generator costs
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return body


def parse_json(body: bytes | bytearray, example: str) -> Any:
    """A body as JSON. Raises RequestError that says where it is none.

    The parser is orjson, not the model's own: that one takes NaN, and is slower on long lists.
    example: what the error for a missing body shows.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise not_json(body, error, example) from None


def check(value: Any, model: type[B]) -> B:
    """JSON as a model. Raises RequestError that names the first field at fault."""
    try:
        # As `model_validate` does, which takes half as long again for a small body.
        return cast(B, model.__pydantic_validator__.validate_python(value))
    except ValidationError as error:
        raise refused(value, model, error, model.example) from None


def constraints_of(
    model: str,
    started: float,
    deadline_ms: float | None,
    max_cost: float | None,
    min_confidence: float | None,
    truncate: bool = False,
) -> RequestConstraints:
    """What a request asks of its answers. started: `perf_counter` when it came."""
    return RequestConstraints(
        model,
        inf if deadline_ms is None else started + deadline_ms / 1e3,
        inf if max_cost is None else max_cost,
        min_confidence or 0.0,
        truncate,
        arrived=started,
    )


def inputs_of(texts: Any, limit: int, name: str = "inputs") -> Inputs:
    """What `Texts` has let pass. Raises RequestError for an empty one, or more than `limit`.

    name: what the protocol calls them.
    """
    if isinstance(texts, list):
        return check_texts(Inputs(texts, single=False, name=name), limit)
    return check_texts(Inputs([texts], single=True, name=name), limit)


def check_texts(inputs: Inputs, limit: int) -> Inputs:
    """The same inputs, if they have something in them, and are at most `limit`."""
    check_count(len(inputs.texts), limit, inputs.name)
    strings = list(chain.from_iterable(map(parts, inputs.texts))) if inputs.pairs else inputs.texts
    if not all(strings) or any(map(str.isspace, cast(Iterable[str], strings))):
        empty = (any(not part or part.isspace() for part in parts(text)) for text in inputs.texts)
        raise RequestError(Reason.EMPTY, "an empty text", inputs.field(list(empty).index(True)))
    return inputs


def check_count(count: int, limit: int, name: str, what: str = "text") -> None:
    """Raises RequestError if there is none, or more than `limit`."""
    if not count:
        raise RequestError(Reason.EMPTY, f"an empty list; expected at least one {what}", name)
    if count > limit:
        raise RequestError(
            Reason.TOO_MANY,
            f"{count} {what}s; the limit is {limit}",
            name,
            limit=limit,
            actual=count,
        )


def _check_encoding(encoding: str) -> None:
    if encoding.lower() != "identity":
        raise RequestError(
            Reason.UNSUPPORTED_ENCODING,
            f"{encoding[:64]!r}; a body comes as it is, not compressed",
            "Content-Encoding",
            headers={"Accept-Encoding": "identity"},
        )


def _too_large(limit: int) -> RequestError:
    return RequestError(
        Reason.BODY_TOO_LARGE, f"the body is larger than the limit of {limit} bytes", limit=limit
    )
