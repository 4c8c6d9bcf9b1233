"""What the console's page is made of, and what a browser may do with it."""

from __future__ import annotations

import re

import pytest

from nestling.server.console import library
from nestling.server.console.routes import PARTS

from ..serving import Server


def test_the_page_allows_nothing_but_itself(server: Server) -> None:
    response = server.client.get("/console")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(
        directive.split(" ", 1)
        for directive in response.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert "//" not in str(policy)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_every_part_that_the_page_names_is_there(server: Server) -> None:
    page = server.client.get("/console").text
    named = set(re.findall(r'(?:src|href)="console/static/([\w.]+)"', page))
    for part in PARTS:
        response = server.client.get(f"/console/static/{part}")
        assert response.status_code == 200
        kind = {"css": "text/css", "js": "text/javascript"}[part.rpartition(".")[2]]
        assert response.headers["Content-Type"].startswith(kind)
        named |= set(re.findall(r'from "\./([\w.]+)"', response.text))
    assert named == set(PARTS)


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2F..%2Froutes.py"])
def test_nothing_else_is_there(server: Server, name: str) -> None:
    response = server.client.get(f"/console/static/{name}")
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "not_found"


def test_the_library_comes_from_its_package(server: Server) -> None:
    response = server.client.get(f"/console/static/{library.FILE}?v={library.charts_version()}")
    assert response.status_code == 200
    assert response.content == library.charts_file().read_bytes()
    assert "immutable" in response.headers["Cache-Control"]
