"""Every server of the registry can be installed, started and asked as it is declared."""

from __future__ import annotations

import re
import string
from importlib.resources import files

import pytest

from benchmarks.peers.environments import requirements, versions
from benchmarks.peers.registry import OURS, SERVERS, Peer, chosen
from benchmarks.peers.session import REFERENCE
from nestling.loadtest.errors import LoadtestError

PACKAGE = files("benchmarks.peers")
FIELDS = {"bin", "apps", "model", "port"}
PEERS = [server for server in SERVERS if server.environment]
PIN = re.compile(r"^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_names_are_there_once() -> None:
    names = [server.name for server in SERVERS]
    assert len(set(names)) == len(names)
    assert len({server.title for server in SERVERS}) == len(names)
    assert {OURS, REFERENCE} <= set(names)


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_server_can_be_started_as_declared(server: Peer) -> None:
    parts = [*server.command, *server.variables.values()]
    used = set().union(*map(fields, parts))
    assert {"bin", "model", "port"} <= used <= FIELDS
    for part in server.command:
        if part.startswith("{apps}/"):
            assert (PACKAGE / "servers" / part.removeprefix("{apps}/")).is_file()
    assert server.settings
    assert all(versions(server).values())


@pytest.mark.parametrize("name", sorted({*(p.environment for p in PEERS if p.environment),
                                         "export"}))  # fmt: skip
def test_everything_is_pinned_and_nothing_points_elsewhere(name: str) -> None:
    lines = requirements(name).splitlines()
    assert lines
    for line in lines:
        assert line.startswith("#") or PIN.match(line), line


def test_some_or_all_are_chosen() -> None:
    assert chosen(None) == SERVERS
    assert [server.name for server in chosen(f"fastapi-onnx, {OURS}")] == [OURS, "fastapi-onnx"]
    with pytest.raises(LoadtestError, match="only: 'triton' is none of nestling, "):
        chosen("triton")
