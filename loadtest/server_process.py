"""A server in a process of its own, from its start to its end."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Self

from .errors import LoadtestError

STOP_SECONDS = 60.0
"""That a server may take to end once it is told to."""


class ServerProcess:
    """A command that prints its URL, such as `nestling serve`; a context that it runs in.

    process: what was started. url: of its greeting, up to the port. greeting: the line that has it.
    Raises LoadtestError if the command cannot be run, or ends without a greeting.
    """

    def __init__(
        self,
        command: Sequence[str],
        stderr: IO[str] | int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """stderr, environment: of the process, as subprocess takes them; None for this one's."""
        self._command = shlex.join(command)
        try:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
            )
        except OSError as error:
            raise LoadtestError(f"`{self._command}`: {error.strerror}") from error
        try:
            self.greeting, self.url = self.next_url()
        except BaseException:
            with self.process:
                self.process.kill()
            raise

    def next_url(self) -> tuple[str, str]:
        """The next line that it prints with a URL in it, and that URL up to its port.

        Raises LoadtestError if it prints no such line any more.
        """
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.search(r"http://\S+:\d+", line):
                return line, found[0]
        raise LoadtestError(f"`{self._command}` has ended before it printed its URL")

    def terminate(self) -> None:
        """Send SIGTERM without waiting."""
        self.process.terminate()

    def wait(self) -> int:
        """The exit status. Raises subprocess.TimeoutExpired after STOP_SECONDS."""
        return self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Tell it to end, unless it has, and wait. One that does not end is killed, and raises as
        `wait` does.
        """
        with self.process:
            if self.process.poll() is None:
                self.terminate()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_command(*words: str, python: str = sys.executable) -> list[str]:
    """`nestling serve` on a free port. words: its further ones. python: what interprets it."""
    return [python, "-m", "nestling.cli", "serve", "--port", "0", *words]
