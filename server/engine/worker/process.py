"""Starting the worker's process: light to import, so that it starts before the server loads."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass

from .channel import BlockingChannel

ENVIRONMENT = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "0"}
"""Unless the operator says otherwise. torch's CPU library keeps what it has made for each shape of
a product; batches have ever new shapes, so that grows for hours and saves nothing.
"""
DEVICE_FAILED = 3
"""Exit status of a worker whose device answers no more."""
STOP_SECONDS = 5.0
"""How long a process may take to notice that nobody needs it; then it is killed."""


@dataclass(frozen=True)
class WorkerProcess:
    """A process, and the socket to it."""

    process: subprocess.Popen[bytes]
    channel: BlockingChannel

    @classmethod
    def now(cls) -> WorkerProcess:
        """Start one; it waits for its first message."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            command = [sys.executable, "-m", "nestling.server.engine.worker", str(descriptor)]
            # In a group of its own: Ctrl-C is the server's to handle, from the first moment on.
            process = subprocess.Popen(
                command, pass_fds=[descriptor], env=ENVIRONMENT | os.environ, process_group=0
            )
        return cls(process, BlockingChannel(ours))

    def kill(self) -> None:
        """End it at once: nobody waits for what it does, such as loading."""
        self.channel.close()
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Close the socket, at which the process ends."""
        self.channel.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
