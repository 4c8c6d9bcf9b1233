"""`/console`: the page, what it is made of, and its stream."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from ..errors import Reason, RequestError
from ..http.protocols.admin.health import metrics_url
from ..http.route import ProtocolRoute
from . import library
from .feed import Feed

router = APIRouter(route_class=ProtocolRoute, include_in_schema=False)
STATIC = Path(str(files(__package__))) / "static"
PAGE = "index.html"
PARTS = {path.name: path for path in STATIC.iterdir() if path.name != PAGE}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {library.STYLE}",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
"""The page asks for the library with its version."""


@router.api_route("/", methods=["GET", "HEAD"])
async def root(_: Request) -> Response:
    """Whoever opens the server's address in a browser sees the console."""
    return RedirectResponse("console", 307)


@router.get("/console")
async def page(_: Request) -> Response:
    """The page: public, as it is the same everywhere."""
    return FileResponse(STATIC / PAGE, headers=HEADERS, media_type="text/html; charset=utf-8")


@router.get("/console/metrics")
async def to_metrics(request: Request) -> Response:
    """The page's link: to this port, or to the one that metrics have to themselves."""
    return RedirectResponse(metrics_url(request), 307)


@router.get("/console/static/{name}")
async def part(request: Request) -> Response:
    """A part of the page, or the chart library."""
    name = request.path_params["name"]
    if name == library.FILE and (file := library.charts_file()):
        return FileResponse(file, headers=HEADERS | FOR_EVER, media_type="text/javascript")
    if name not in PARTS:
        raise RequestError(Reason.NOT_FOUND, f"{request.url.path[:64]}: no such part of the page")
    return FileResponse(PARTS[name], headers=HEADERS)


@router.get("/console/events")
async def events(request: Request) -> Response:
    """Server-sent events, of the registry that `/metrics` shows."""
    feed = cast(Feed, request.app.state.feed)
    headers = HEADERS | {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(feed.listen(), media_type="text/event-stream", headers=headers)
