"""Who may ask: keys for users, others for administrators, before anything is read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import Reason, RequestError
from ..keys import Keys
from .route import error_response

OPEN = ("/health", "/metrics", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready")
"""What probes and scrapers read, and the documentation."""
ADMIN = "/admin/"


class Authenticate:
    """ASGI middleware. Without user keys everyone may ask; without admin keys nobody administers.

    The key comes as `Authorization: Bearer KEY` or as `X-API-Key: KEY`. An admin's key opens what
    a user's does.
    """

    def __init__(self, app: ASGIApp, users: Keys, admins: Keys) -> None:
        self._app, self._users, self._admins = app, users, admins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(Request(scope))):
            await error_response(Request(scope), refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> RequestError | None:
        path = request.url.path
        administers = path.startswith(ADMIN)
        if path in OPEN or not (administers or self._users):
            return None
        if administers and not self._admins:
            return RequestError(
                Reason.FORBIDDEN, f"{path}: administration is off; start with --admin-keys FILE"
            )
        key = _key(request)
        if self._admins.owner(key) or (not administers and self._users.owner(key)):
            return None
        kind = "an admin's key" if administers else "an API key"
        return RequestError(
            Reason.UNAUTHORISED,
            f"{path} wants {kind}, as `Authorization: Bearer KEY`",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _key(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-api-key", "")
