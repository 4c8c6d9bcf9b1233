"""`POST /admin/reload`: another checkpoint, or the same directory again, without a pause."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ....errors import Reason
from ...body import check_known, read_json, wrong_type
from ...errors import NATIVE, READING
from ...route import ControlRoute, json_response, json_shown, reloader_of, service_of

router = APIRouter(route_class=ControlRoute)


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
    openapi_extra={
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"checkpoint": {"type": ["string", "null"]}},
                        "additionalProperties": False,
                    },
                    "example": {},
                }
            },
        }
    },
)
async def reload(request: Request) -> Response:
    """Without a body, or without `checkpoint`: the directory given at start, read again."""
    body = await read_json(request, service_of(request).settings.max_body_bytes, empty={})
    path = check_known(body, ("checkpoint",)).get("checkpoint")
    if path is not None and not isinstance(path, str):
        raise wrong_type("checkpoint", path, "a string")
    checkpoint = await reloader_of(request).reload(Path(path) if path else None)
    return json_response(
        {
            "weights_sha256": checkpoint.weights_sha256,
            "students": list(checkpoint.students),
            "cascades": list(checkpoint.cascades),
        }
    )
