"""Requests for which there is no route: what may have been meant, and whose format errors have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from starlette.routing import BaseRoute, Route

from ...models.nearest import COMPARED, nearest
from ..errors import Reason, RequestError
from .errors import NATIVE, ErrorFormat
from .route import ProtocolRoute

SHOWN = 64
"""Characters of a path that its error repeats."""


class ErrorFormats:
    """The error format of any path: that of the route with which it begins, else the native one.

    routes: where several have the same beginning, the first counts.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._by_beginning: dict[str, ErrorFormat] = {}
        for route in routes:
            if isinstance(route, ProtocolRoute):
                beginning = route.path.partition("{")[0].rstrip("/") or "/"
                for each in (beginning, route.error_format.namespace):
                    if each:
                        self._by_beginning.setdefault(each, route.error_format)

    def of(self, path: str) -> ErrorFormat:
        """The longest beginning counts, in whole parts between slashes."""
        while path:
            if found := self._by_beginning.get(path):
                return found
            path = path.rpartition("/")[0]
        return NATIVE


def no_such_path(path: str, routes: Sequence[BaseRoute]) -> RequestError:
    """The error for a path that no route has, with the nearest that one has."""
    head = path[:COMPARED]
    paths = {_alike(route.path, head) for route in _plain(routes)} - {"/"}
    close = nearest(head, paths)
    if not close:
        return RequestError(
            Reason.NOT_FOUND, f"{_shown(path)} does not exist; /docs lists all paths"
        )
    [meant] = close
    return RequestError(
        Reason.NOT_FOUND,
        f"{_shown(path)} does not exist; did you mean {_shown(meant)}? /docs lists all paths",
        nearest=meant,
    )


def no_such_method(method: str, path: str, routes: Sequence[BaseRoute]) -> RequestError:
    """The error for a path that takes other methods."""
    taken = {
        each
        for route in _plain(routes)
        if route.path_regex.match(path)
        for each in route.methods or ()
    }
    if "GET" in taken:
        taken.add("HEAD")
    allowed = ", ".join(sorted(taken))
    return RequestError(
        Reason.METHOD_NOT_ALLOWED,
        f"{_shown(path)} does not take {method[:SHOWN]}; it takes {allowed}",
        headers={"Allow": allowed},
    )


def _plain(routes: Sequence[BaseRoute]) -> Iterable[Route]:
    return (route for route in routes if isinstance(route, Route))


def _alike(template: str, path: str) -> str:
    """A route's path, with the names that another path has at the places of its parameters.

    A path that begins otherwise is not alike: what stands in it is no such name.
    """
    parts, given = template.split("/"), path.split("/")
    fixed = template.partition("{")[0]
    if len(parts) != len(given) or not nearest(path[: len(fixed)], {fixed}):
        return template
    return "/".join(
        there if part.startswith("{") and there else part
        for part, there in zip(parts, given, strict=True)
    )


def _shown(path: str) -> str:
    """A path in a message: its beginning, and on one line whatever it holds."""
    return quote(path[:SHOWN], safe="/{}:@!$&'()*+,;=~") + ("…" if len(path) > SHOWN else "")
