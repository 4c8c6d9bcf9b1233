"""Every server of the registry can be installed, started and asked as it is declared."""

from __future__ import annotations

import re
import string
from importlib.resources import files

import pytest

from benchmarks.peers.environments import flags, requirements, versions
from benchmarks.peers.registry import BF16, DEFAULT, OURS, SERVERS, Peer, chosen
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
    assert {DEFAULT, OURS, REFERENCE} <= set(names)


def test_nestling_by_default_is_told_nothing_but_model_and_port() -> None:
    [default] = chosen(DEFAULT)
    assert default.command == ("{bin}/nestling", "serve", "{model}", "--port", "{port}")
    assert not default.variables


@pytest.mark.parametrize("engine", ["onnx", "onnx-int8", "openvino", "openvino-bf16"])
def test_an_engine_behind_fastapi_has_as_many_threads_as_there_are_cores(engine: str) -> None:
    ways = [
        peer for peer in SERVERS if re.fullmatch(f"fastapi-{engine}(-batches|-one)?", peer.name)
    ]
    workers = [int(peer.command[peer.command.index("--workers") + 1]) for peer in ways]
    assert {1, 2} == set(workers)
    for peer, processes in zip(ways, workers, strict=True):
        threads, runs = (int(peer.variables.get(name, "1")) for name in ("THREADS", "RUNS"))
        assert processes * threads * runs == 2
        assert (peer.precision == BF16) == (peer.needs is not None)


def test_what_a_processor_can_do_is_read() -> None:
    assert "sse2" in flags()


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_server_can_be_started_as_declared(server: Peer) -> None:
    parts = [*server.command, *server.variables.values()]
    used = set().union(*map(fields, parts))
    assert {"bin", "model", "port"} <= used <= FIELDS
    for part in server.command:
        if part.startswith("{apps}/"):
            assert (PACKAGE / "servers" / part.removeprefix("{apps}/")).is_file()
        if part.endswith(":app"):
            assert (PACKAGE / "servers" / f"{part.removesuffix(':app')}.py").is_file()
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
    with pytest.raises(LoadtestError, match=f"only: 'triton' is none of {DEFAULT}, {OURS}, "):
        chosen("triton")
