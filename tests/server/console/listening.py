"""A client of the console's stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from ..serving import Server

Events = Iterator[tuple[str, Any]]


@contextmanager
def listening(server: Server, **headers: str) -> Iterator[Events]:
    """Events of the stream, as name and content, until it ends."""
    url = f"{server.url}/console/events"
    with httpx.stream("GET", url, headers=headers, timeout=30) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield _events(response)


def _events(response: httpx.Response) -> Events:
    name = ""
    for line in response.iter_lines():
        field, _, content = line.partition(": ")
        if field == "event":
            name = content
        elif field == "data":
            yield name, json.loads(content)
