"""Between protocols and inference: who asks, and what happens when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar, cast

from starlette.requests import ClientDisconnect, Request

from ..core.constraints import RequestConstraints
from ..core.inference import Inference
from ..core.policies import AUTO
from ..core.requests import Answers, Caller, Embeddings, InferenceRequest, Inputs
from ..telemetry.requests import REQUEST_ID
from .departure import CONNECTION, RequestConnection
from .headers import header

T = TypeVar("T")


def answer(
    request: Request, inputs: Inputs, constraints: RequestConstraints, user: str | None = None
) -> Coroutine[Any, Any, Answers]:
    """What `Inference.infer` returns to this HTTP request.

    user: whose request the body says it is. Raises ClientDisconnect when the client has gone.
    """
    scope = request.scope
    caller = Caller(REQUEST_ID.get(), user, partial(header, request))
    asked = InferenceRequest(inputs, constraints)
    inference: Inference = scope["inference"]
    return _while_connected(request, inference.infer(asked, caller, scope["service"]))


def embed(
    request: Request, inputs: Inputs, model: str = AUTO, dimensions: int | None = None
) -> Coroutine[Any, Any, Embeddings]:
    """What `Inference.embed` returns to this HTTP request. Raises ClientDisconnect likewise."""
    scope = request.scope
    inference: Inference = scope["inference"]
    work = inference.embed(inputs, model, dimensions, scope["service"])
    return _while_connected(request, work)


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client goes away.

    The result is noted in the scope, for traces.
    """
    connection: RequestConnection | None = request.scope.get(CONNECTION)
    task = cast("asyncio.Task[T]", asyncio.current_task())
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    if connection:
        if connection.gone:
            work.close()
            raise ClientDisconnect
        connection.leave = leave
    try:
        result = request.scope["result"] = await work
        return result
    except asyncio.CancelledError:
        if gone:
            task.uncancel()
            raise ClientDisconnect from None
        raise
    finally:
        if connection:
            connection.leave = None
