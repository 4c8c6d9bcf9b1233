"""A server as a process: what it says first, and how it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nestling.loadtest import server_process
from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.server_process import ServerProcess, serve_command

GREETS = "print('hello\\nHere: http://127.0.0.1:81/x\\nMetrics: http://[::1]:82/y', flush=True)\n"
WAITS = "import signal; signal.pause()\n"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


def python(*lines: str) -> list[str]:
    return [sys.executable, "-c", "".join(lines)]


def test_its_urls_are_read_from_what_it_prints() -> None:
    with ServerProcess(python(GREETS, WAITS)) as server:
        assert (server.greeting, server.url) == (
            "Here: http://127.0.0.1:81/x\n", "http://127.0.0.1:81"
        )  # fmt: skip
        assert server.next_url()[1] == "http://[::1]:82"
    assert server.process.returncode == -15
    assert server.process.stdout is not None
    assert server.process.stdout.closed


def test_one_that_has_ended_is_stopped_once_more() -> None:
    with ServerProcess(python(GREETS)) as server:
        assert server.wait() == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (python("print('no')"), "`.* -c .*` has ended before it printed its URL"),
        (["/no/such program"], "`'/no/such program'`: No such file"),
    ],
)
def test_what_does_not_start_is_named(command: list[str], said: str) -> None:
    with pytest.raises(LoadtestError, match=said):
        ServerProcess(command)


def test_one_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "STOP_SECONDS", 0.2)
    with pytest.raises(subprocess.TimeoutExpired), ServerProcess(python(DEAF, GREETS, WAITS * 9)):
        pass


def test_the_command_is_for_any_interpreter() -> None:
    assert serve_command("here", "--threads", "1", python="py") == [
        "py", "-m", "nestling.cli", "serve", "--port", "0", "here", "--threads", "1"
    ]  # fmt: skip
