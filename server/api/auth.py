"""Who may ask: keys for users, others for administrators, before anything is read."""

from __future__ import annotations

from starlette.requests import Request

from ..errors import Reason, RequestError
from ..keys import Keys
from ..request_headers import header

OPEN = (
    "/health",
    "/v2/health/live",
    "/v2/health/ready",
    "/docs",
    "/openapi.json",
    "/console",
)
"""What probes read; the documentation and the console's page, which are the same everywhere. Not
metrics: they tell whoever reads them how much is asked, of what, and what it costs."""
OPEN_BELOW = "/console/static/"
"""What the console's page is made of; the numbers that it shows are not."""
ADMIN = "/admin/"
DECLARE = "/v1/experiments"
"""Read by users, written by administrators."""


class Keyring:
    """Without user keys everyone may ask; without admin keys nobody administers.

    The key comes as `Authorization: Bearer KEY` or as `X-API-Key: KEY`. An admin's key opens what
    a user's does.
    """

    def __init__(self, users: Keys, admins: Keys) -> None:
        self._users, self._admins = users, admins

    def check(self, request: Request) -> None:
        """Raises RequestError for a request without the key that it needs."""
        path = request.scope["path"]
        administers = path.startswith(ADMIN) or (path == DECLARE and request.method == "PUT")
        is_open = path in OPEN or path.startswith(OPEN_BELOW)
        if is_open or not (administers or self._users):
            return
        if administers and not self._admins:
            raise RequestError(
                Reason.FORBIDDEN, f"{path}: administration is off; start with --admin-keys FILE"
            )
        key = _key(request)
        if self._admins.owner(key) or (not administers and self._users.owner(key)):
            return
        kind = "an admin's key" if administers else "an API key"
        raise RequestError(
            Reason.UNAUTHORISED,
            f"{path} wants {kind}, as `Authorization: Bearer KEY`",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _key(request: Request) -> str:
    scheme, _, value = (header(request, "Authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.lstrip()
    return header(request, "X-API-Key") or ""
