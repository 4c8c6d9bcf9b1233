"""A program of Prometheus' family, in a process of its own, on a free port."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds until something must have been scraped, evaluated and sent on."""


def wait_for(look: Callable[[], T]) -> T:
    """What there is, as soon as there is something; what is empty where there never is."""
    end = time.monotonic() + PATIENCE
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.2)
    return found


class Program:
    """Runs until it is closed.

    address: where it listens. client: asks it.
    """

    def __init__(self, name: str, log: Path, *arguments: str) -> None:
        self._log = log
        command = [name, *arguments, "--web.listen-address=127.0.0.1:0"]
        with log.open("w") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            self.address = self._address()
            self.client = httpx.Client(base_url=f"http://{self.address}", timeout=30)
            while self.client.get("/-/ready").status_code != 200:
                self._wait_a_little()
        except BaseException:
            self._process.kill()
            raise

    def read_again(self) -> None:
        """Have it take up a changed configuration."""
        self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(timeout=30)

    def _address(self) -> str:
        """As it says itself."""
        while not (found := re.search(r'"Listening on".* address=(\S+)', self._log.read_text())):
            self._wait_a_little()
        return found[1]

    def _wait_a_little(self) -> None:
        assert self._process.poll() is None, self._log.read_text()
        time.sleep(0.05)
