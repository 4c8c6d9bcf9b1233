"""The closed loop: clients that each send their next text once they have the answer to the last.

It finds what a server can take, and what one answer takes that waits for no other. It says nothing
of how a server feels under load: who waits for a slow server asks less of it (Schroeder, Wierman,
Harchol-Balter, NSDI 2006).
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import cycle

import numpy as np

from .client.records import Records
from .errors import check_above, check_at_least
from .request_sender import RequestSender, ScheduledRequest
from .setup import Setup


def closed_loop(setup: Setup, clients: int, seconds: float, model: str = "auto") -> Records:
    """What came of all requests of one text that were begun within so many seconds.

    Latency counts from the moment at which a client was free to send. Of the set-up, the first
    protocol counts. Raises LoadtestError that names field and limit.
    """
    check_at_least("clients", clients, 1)
    check_above("seconds", seconds, 0)
    rng = np.random.default_rng(setup.seed)
    order = cycle(rng.permutation(len(setup.texts)).tolist())
    with RequestSender(replace(setup, connections=clients), model) as sender:
        end = sender.start + seconds

        def ask() -> None:
            if (now := time.monotonic()) < end:
                sender.send(ScheduledRequest([next(order)], now, ask))

        for _ in range(clients):
            ask()
        time.sleep(max(0.0, end - time.monotonic()))
    return sender.records()
