"""A server as a process: started, awaited, weighed, and stopped with all its children."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from nestling.loadtest.client.protocols import Protocol
from nestling.loadtest.client.target import find
from nestling.loadtest.errors import LoadtestError

READY, STOP = 180.0, 20.0
"""Seconds that a server may take to answer its first text, and to end when it is told."""
EVERY = 0.1
TEXT = "what is the weather like"


def free_port() -> int:
    """On loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class PeerProcess:
    """A context in which a server answers.

    folder: where it runs. log: where its output goes. ready_seconds: from its start until it has
    answered a text. Raises LoadtestError that names the log if it ends before, or takes longer
    than READY.
    """

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        port: int,
        protocol: Protocol,
        asked: str,
        folder: Path,
        log: Path,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.ready_seconds = 0.0
        self._command, self._variables = list(command), dict(variables)
        self._port, self._protocol, self._asked = port, protocol, asked
        self._folder, self._log = folder, log

    def __enter__(self) -> PeerProcess:
        for folder in (self._folder, self._log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with self._log.open("wb") as out:
            try:
                self._popen = subprocess.Popen(
                    self._command,
                    cwd=self._folder,
                    env={**os.environ, **self._variables},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise LoadtestError(f"{self._command[0]}: {error.strerror}") from error
        try:
            while not self._answers():
                if self._popen.poll() is not None:
                    raise LoadtestError(
                        f"ended with status {self._popen.returncode} before it answered; see "
                        f"{self._log}"
                    )
                if time.monotonic() - started > READY:
                    raise LoadtestError(f"did not answer within {READY:g} s; see {self._log}")
                time.sleep(EVERY)
        except BaseException:
            self._stop()
            raise
        self.ready_seconds = time.monotonic() - started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop()

    def memory(self) -> int:
        """Bytes resident in memory, of it and its children; shared pages count once (PSS)."""
        total = 0
        for process in self._tree():
            with suppress(psutil.NoSuchProcess):  # it may end while it is being read
                total += process.memory_full_info().pss
        return total

    def _answers(self) -> bool:
        try:
            target = find(self.url)
        except LoadtestError:
            return False
        head, _, body = self._protocol.request(target, [TEXT], self._asked).partition(b"\r\n\r\n")
        path = head.split()[1].decode()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=READY)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                return False
            return len(self._protocol.reader()({}, content).labels) == 1
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            return False  # it has begun to listen, but does not answer as it will
        finally:
            connection.close()

    def _tree(self) -> list[psutil.Process]:
        try:
            leader = psutil.Process(self._popen.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _stop(self) -> None:
        tree = self._tree()
        for process in tree:  # its children too: one that nobody tells would hold us up to the end
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=STOP)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=STOP)
        self._popen.wait()
