"""`/docs`: Swagger UI, from the package that carries it, which is never imported for it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ...console.routes import HEADERS
from ...errors import Reason, RequestError
from ..route import ProtocolRoute

router = APIRouter(route_class=ProtocolRoute, include_in_schema=False)
PACKAGE = "fastapi-swagger"
STATIC = Path(str(files(__package__))) / "static"
OURS = ("docs.js",)
THEIRS = ("swagger-ui-bundle.js", "swagger-ui.css")
READING = ["GET", "HEAD"]


@cache
def library() -> Path:
    """Where Swagger UI lies."""
    return Path(str(distribution(PACKAGE).locate_file("fastapi_swagger/resources")))


@router.api_route("/docs", methods=READING)
async def page(_: Request) -> Response:
    """The page: public, as it holds nothing but what `/openapi.json` says."""
    return FileResponse(
        STATIC / "index.html", headers=HEADERS, media_type="text/html; charset=utf-8"
    )


@router.api_route("/docs/static/{name}", methods=READING)
async def part(request: Request) -> Response:
    """A part of the page."""
    name = request.path_params["name"]
    if name not in (*OURS, *THEIRS):
        raise RequestError(Reason.NOT_FOUND, f"{request.url.path[:64]}: no such part of the page")
    folder = STATIC if name in OURS else library()
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    return FileResponse(folder / name, headers=HEADERS, media_type=kind)
