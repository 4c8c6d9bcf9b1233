"""The error format in which the server answers at a path."""

from __future__ import annotations

from nestling.server.http.lost import ErrorFormats
from nestling.server.http.protocols.registry import ROUTERS

format_of = ErrorFormats(route for router in ROUTERS for route in router.routes).of
