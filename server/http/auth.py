"""Who may ask: keys for users, others for administrators, before anything is read."""

from __future__ import annotations

from enum import Enum, auto

from starlette.requests import Request

from ..errors import Reason, RequestError
from .headers import header
from .keys import Keys

OPEN = (
    "/health",
    "/v2/health/live",
    "/v2/health/ready",
    "/docs",
    "/openapi.json",
    "/console",
    "/console/metrics",
)
"""What probes read; the documentation; the console's page, and where its link to the metrics leads.
Not metrics: they tell whoever reads them how much is asked, of what, and what it costs."""
OPEN_BELOW = ("/console/static/", "/docs/static/")
"""What those pages are made of; the numbers that the console shows are not."""
ROOT, READING = "/", ("GET", "HEAD")
"""Whoever reads the root is led to the console; a text may be sent there, too."""
ADMIN = "/admin/"
DECLARE = "/v1/experiments"
"""Read by users, written by administrators."""


class KeyNeeded(Enum):
    """Whose key a request needs. OFF: nobody's opens it."""

    NOTHING = auto()
    USER = auto()
    ADMIN = auto()
    OFF = auto()


class Keyring:
    """Without user keys everyone may ask; without admin keys nobody administers.

    The key comes as `Authorization: Bearer KEY` or as `X-API-Key: KEY`. An admin's key opens what
    a user's does.
    """

    def __init__(self, users: Keys, admins: Keys) -> None:
        self._users, self._admins = users, admins
        self._guarded, self._administered = bool(users), bool(admins)

    def wants(self, path: str, method: str) -> KeyNeeded:
        """What a request for a path needs."""
        if path.startswith(ADMIN) or (path == DECLARE and method == "PUT"):
            return KeyNeeded.ADMIN if self._administered else KeyNeeded.OFF
        is_open = path in OPEN or path.startswith(OPEN_BELOW)
        if is_open or (path == ROOT and method in READING) or not self._guarded:
            return KeyNeeded.NOTHING
        return KeyNeeded.USER

    def check(self, request: Request) -> None:
        """Raises RequestError for a request without the key that it needs."""
        path = request.scope["path"]
        wanted = self.wants(path, request.method)
        if wanted is KeyNeeded.NOTHING:
            return
        if wanted is KeyNeeded.OFF:
            raise RequestError(
                Reason.FORBIDDEN, f"{path}: administration is off; start with --admin-keys FILE"
            )
        key = _key(request)
        if self._admins.owner(key) or (wanted is KeyNeeded.USER and self._users.owner(key)):
            return
        kind = "an admin's key" if wanted is KeyNeeded.ADMIN else "an API key"
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
