"""`POST /admin/reload`: another checkpoint, or the same directory again, without a pause."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ....errors import Reason
from ...body import Body, read
from ...errors import NATIVE, READING
from ...openapi import json_shown, request_body
from ...route import ControlRoute, inference_of, json_response, service_of

router = APIRouter(route_class=ControlRoute)


class ReloadRequest(Body):
    """checkpoint: another directory; null, or left out, is the one given at start."""

    example: ClassVar[str] = '{"checkpoint": "…"}'

    checkpoint: str | None = None


@router.post(
    "/admin/reload",
    summary="Take up another checkpoint",
    response_model=None,
    responses={
        200: json_shown(
            {"weights_sha256": "60b7…", "students": ["tiny", "ta"], "cascades": ["drop-0.005"]}
        ),
        **NATIVE.documented(
            *READING,
            Reason.UNKNOWN_FIELD,
            Reason.UNAUTHORISED,
            Reason.FORBIDDEN,
            Reason.RELOADING,
            Reason.BAD_CHECKPOINT,
            Reason.INTERNAL,
        ),
    },
    openapi_extra=request_body(ReloadRequest, {}, required=False),
)
async def reload(request: Request) -> Response:
    """Without a body, or without `checkpoint`: the directory given at start, read again."""
    limit = service_of(request).settings.max_body_bytes
    body = await read(request, ReloadRequest, limit, empty={})
    path = Path(body.checkpoint) if body.checkpoint else None
    checkpoint = await inference_of(request).services.reload(path)
    return json_response(
        {
            "weights_sha256": checkpoint.weights_sha256,
            "students": list(checkpoint.students),
            "cascades": list(checkpoint.cascades),
        }
    )
