"""The process that forks the fronts."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from nestling.server.supervisor.forking import FORK, REQUEST, Forker

Pair = tuple[socket.socket, socket.socket]
really = os.fork


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_fork_that_fails_ends_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    forks: list[None] = []

    def fork() -> int:
        forks.append(None)
        if len(forks) == 2:  # after that of the process itself
            raise OSError(errno.EAGAIN, "no more processes")
        return really()

    monkeypatch.setattr(os, "fork", fork)
    forker = Forker(lambda *_: None, [], "text")
    try:
        with pytest.raises(BlockingIOError):
            forker.fork(0, *pair)
        assert forker.end(forker.fork(0, *pair)) in (0, -signal.SIGKILL)
    finally:
        forker.close()


def test_the_end_of_the_forker_is_told(pair: Pair) -> None:
    forker = Forker(lambda *_: None, [], "text")
    os.kill(forker.pid, signal.SIGKILL)
    with pytest.raises(EOFError, match="has ended"):
        forker.fork(0, *pair)
    with pytest.raises(EOFError, match="has ended"):
        forker.end(1)
    forker.close()


def test_a_supervisor_that_ends_before_it_is_answered_leaves_no_word(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    forks: list[None] = []

    def fork() -> int:
        forks.append(None)
        if len(forks) == 2:  # after that of the process itself
            gone.recv(1)  # ends with the supervisor's socket
        return really()

    ours, gone = socket.socketpair()
    with ours, gone:
        monkeypatch.setattr(os, "fork", fork)
        forker = Forker(lambda *_: None, [ours], "text")
        socket.send_fds(forker._end, [REQUEST.pack(FORK, 0)], [each.fileno() for each in pair])
        forker._end.close()
        ours.close()
        os.waitpid(forker.pid, 0)
    assert capfd.readouterr().err == ""


EARLY = """
import os, signal, threading, time
from nestling.server.supervisor.forking import Forker

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job ignores
threading.Thread(target=time.sleep, args=[60], daemon=True).start()  # who takes the signal

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:  # in the middle of this its handler runs
        pass

os.register_at_fork(after_in_parent=interrupt)
try:
    Forker(lambda *_: None, [], "text")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_that_comes_while_it_forks_is_heard() -> None:
    heard = subprocess.run(
        [sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=60, check=True
    )
    assert (heard.stdout, heard.stderr) == ("interrupted\n", "")
