"""The client against a server that is slow on purpose."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nestling.loadtest.client.faults import Fault
from nestling.loadtest.client.records import Records
from nestling.loadtest.client.target import find
from nestling.loadtest.errors import FellBehindError, LoadtestError
from nestling.loadtest.load_generator import LoadGenerator
from nestling.loadtest.results.summary import outcomes
from nestling.loadtest.setup import Setup

from .stub import Stub

Make = Callable[..., Setup]


def send(setup: Setup, due: list[float] | np.ndarray, warmup: float = 0.0) -> Records:
    with LoadGenerator(setup) as generator:
        rng = np.random.default_rng(setup.seed)
        return generator.send(np.asarray(due, np.float64), rng, "auto", 50, warmup)[0]


def labels_of(records: Records) -> list[str]:
    return [records.labels[index] for index in records.texts.label]


def expected(setup: Setup, records: Records) -> list[str]:
    return [setup.texts.labels[row] for row in records.texts.row]


def test_answers_stand_beside_their_texts_whatever_process_asked(setup: Make) -> None:
    with Stub() as stub:
        given = setup(stub.url, processes=2, batches={"1": 0.5, "5": 0.5})
        records = send(given, np.linspace(0, 0.5, 100))
    assert outcomes(records.requests.status) == {"200": 100}
    assert labels_of(records) == expected(given, records)
    assert records.students == ("tiny",)
    assert records.texts.cost == pytest.approx(0.1)
    assert set(records.requests.sizes) == {1, 5}
    assert len(records.texts.row) == records.requests.sizes.sum()
    assert records.requests.due == pytest.approx(np.linspace(0, 0.5, 100))


@pytest.mark.parametrize("protocol", ["native", "tei"])
def test_pairs_are_sent_as_the_protocol_has_them(setup: Make, data: Path, protocol: str) -> None:
    pairs = [(f"of {n}", f"label{n % 3}") for n in range(9)]
    rows = [{"text": one, "text_pair": f"{two} is next", "label": two} for one, two in pairs]
    data.write_text("\n".join(map(json.dumps, rows)))
    with Stub() as stub:
        given = setup(stub.url, shares={protocol: 1.0}, batches={"1": 0.5, "5": 0.5})
        records = send(given, np.linspace(0, 0.1, 30))
    assert outcomes(records.requests.status) == {"200": 30}
    assert labels_of(records) == expected(given, records)


def test_answers_of_several_labels_stand_beside_their_texts(setup: Make, data: Path) -> None:
    rows = [{"text": f"label{n % 3} of {n}", "labels": [f"label{n % 3}"]} for n in range(9)]
    data.write_text("\n".join(map(json.dumps, rows)))
    with Stub() as stub:
        given = setup(stub.url, shares={"tei": 1.0})
        records = send(given, np.linspace(0, 0.1, 30))
    assert labels_of(records) == expected(given, records)


def test_each_text_is_sent_equally_often(setup: Make) -> None:
    with Stub() as stub:
        records = send(setup(stub.url), np.linspace(0, 0.2, 100))
    assert (np.bincount(records.texts.row) == 2).all()


def test_a_stall_shows_in_everything_that_was_due_meanwhile(setup: Make) -> None:
    """No coordinated omission: who waits for answers before it sends sees one slow request."""
    with Stub(stall_after=50, stall=1.0) as stub:
        records = send(setup(stub.url, connections=4), np.arange(0, 3, 0.01))
    assert outcomes(records.requests.status) == {"200": 300}
    stalled = records.requests.due[records.requests.latency > 0.3]
    assert len(stalled) >= 60
    assert records.requests.latency.max() > 0.9


def test_few_connections_are_kept_and_used_in_turn(setup: Make) -> None:
    with Stub(service=0.05) as stub:
        records = send(setup(stub.url, connections=2), [0.0] * 8)
        assert stub.seen["connections"] <= 3  # one asked whether anybody is there
    assert np.sort(records.requests.latency)[-1] > 0.19  # four rounds


def test_a_server_that_closes_after_each_answer(setup: Make) -> None:
    with Stub(keep_alive=False) as stub:
        records = send(setup(stub.url), np.linspace(0, 0.3, 40))
    assert outcomes(records.requests.status) == {"200": 40}


def test_statuses_and_silence_are_outcomes(setup: Make) -> None:
    with Stub(status=503) as stub:
        assert outcomes(send(setup(stub.url), [0.0, 0.1]).requests.status) == {"503": 2}
    with Stub(service=30) as stub:
        records = send(setup(stub.url, timeout=0.3), [0.0, 0.1])
        assert outcomes(records.requests.status) == {"timeout": 2}
    with Stub(capacity=1, queue=1, service=0.3) as stub:
        assert outcomes(send(setup(stub.url), [0.0, 0.1]).requests.status) == {"200": 1, "429": 1}


def test_a_server_that_is_gone_is_an_outcome(setup: Make) -> None:
    with Stub() as stub:
        given = setup(stub.url)
    assert outcomes(send(given, [0.0, 0.1]).requests.status) == {"refused": 2}


def test_an_answer_in_another_form_is_unreadable(setup: Make) -> None:
    with Stub() as stub:
        given = setup(stub.url)
        odd = replace(given.protocols["tei"], labels="data.*.label")
        records = send(replace(given, protocols={"tei": odd}, shares={"tei": 1.0}), [0.0, 0.1])
    assert outcomes(records.requests.status) == {"unreadable": 2}


def test_faults_are_committed_and_told_apart(setup: Make) -> None:
    with Stub(service=0.1) as stub:
        faults = {"slow": 0.2, "disconnect": 0.2, "malformed": 0.2}
        records = send(setup(stub.url, faults=faults, slow_seconds=0.5), np.linspace(0, 1, 100))
        assert stub.seen["disconnected"] >= 10
    found = {
        fault: outcomes(records.requests.status[records.requests.fault == index])
        for index, fault in enumerate(Fault)
    }
    assert list(found[Fault.SLOW]) == ["200"]
    assert list(found[Fault.DISCONNECT]) == ["left"]
    assert list(found[Fault.MALFORMED]) == ["400"]
    slow = records.requests.latency[records.requests.fault == 0]
    assert slow.min() > 0.4
    assert (records.requests.status[records.requests.fault == -1] == 200).all()


def test_clients_that_go_away_take_nobody_with_them(setup: Make) -> None:
    """One that was answered before it left has given its connection to another."""
    with Stub() as stub:
        records = send(setup(stub.url, faults={"disconnect": 0.3}), np.linspace(0, 0.5, 300))
    assert (records.requests.status[records.requests.fault == -1] == 200).all()


def test_warm_up_is_sent_and_not_counted(setup: Make) -> None:
    with Stub() as stub:
        records = send(setup(stub.url), [0.0, 0.2], warmup=0.5)
        assert stub.seen["/v1/classify"] > 5
    assert len(records) == 2
    assert records.requests.due == pytest.approx([0.0, 0.2])


def test_a_run_in_which_the_client_fell_behind_is_refused(setup: Make) -> None:
    with Stub() as stub:
        given = setup(stub.url, max_lag_ms=5.0)
        with pytest.raises(FellBehindError, match="the limit --max-lag-ms 5"):
            send(given, np.zeros(20_000) + np.linspace(0, 1e-3, 20_000))


def test_a_process_of_the_client_that_dies_is_told(setup: Make) -> None:
    def send_while_one_dies(url: str) -> None:
        with LoadGenerator(setup(url, processes=2)) as generator:
            os.kill(generator.pids[0], signal.SIGKILL)
            generator.send(np.linspace(0, 0.1, 10), np.random.default_rng(0))

    with Stub() as stub, pytest.raises(LoadtestError, match="a process of its own has died"):
        send_while_one_dies(stub.url)


def test_an_url_that_is_none_or_where_nobody_listens() -> None:
    with Stub() as stub:
        url = stub.url
    for given, why in (
        (url, "nothing answers at"),
        ("https://localhost", "without TLS"),
        ("localhost:80", "not of the form"),
        ("http://localhost:99999", "url: "),
        ("http://no-such-host.invalid", "no-such-host"),
    ):
        with pytest.raises(LoadtestError, match=why):
            find(given)


def test_settings_are_checked(setup: Make) -> None:
    with Stub() as stub:
        for field, value, why in (
            ("timeout", 0.0, "timeout: 0 is not"),
            ("processes", 0, "processes: 0 is not"),
            ("batches", {"0": 1.0}, "batch: '0' is no number"),
            ("faults", {"rude": 0.1}, "'rude' is none of slow, disconnect, malformed"),
            ("shares", {"grpc": 1.0}, "'grpc' is none of native, tei"),
        ):
            with pytest.raises(LoadtestError, match=why):
                setup(stub.url, **{field: value})
