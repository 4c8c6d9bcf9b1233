"""Clients that wait for each answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.server.closed import closed_loop
from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.results.summary import outcomes
from nestling.loadtest.setup import Setup

from .stub import Stub

Make = Callable[..., Setup]


def test_no_more_requests_are_under_way_than_there_are_clients(setup: Make) -> None:
    with Stub(service=0.01) as stub:
        given = setup(stub.url)
        records = closed_loop(given, clients=3, seconds=0.5)
    assert stub.seen["connections"] <= 4  # and one that found out whether anybody listens
    assert outcomes(records.requests.status) == {"200": len(records)}
    assert 3 <= len(records) <= 3 * 0.5 / 0.01 + 3
    assert records.requests.latency.min() >= 0.01
    labels = [records.labels[index] for index in records.texts.label]
    assert labels == [given.texts.labels[row] for row in records.texts.row]


def test_requests_that_fail_do_not_stop_it(setup: Make) -> None:
    with Stub(status=500, keep_alive=False) as stub:
        records = closed_loop(setup(stub.url), clients=2, seconds=0.2)
    assert list(outcomes(records.requests.status)) == ["500"]
    assert len(records) > 2


def test_clients_and_seconds_have_limits(setup: Make) -> None:
    with Stub() as stub:
        given = setup(stub.url)
    with pytest.raises(LoadtestError, match="clients: 0 is not"):
        closed_loop(given, 0, 1)
    with pytest.raises(LoadtestError, match="seconds: 0 is not"):
        closed_loop(given, 1, 0)
