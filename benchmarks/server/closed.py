"""The closed loop: each client sends its next text once it has the answer to the last.

It shows the throughput that a server reaches, and the latency of a request that waits for no other.
It does not show latency under load: clients that wait for a slow server send less to it (Schroeder,
Wierman, Harchol-Balter, NSDI 2006).
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import cycle

import numpy as np

from nestling.loadtest.client.records import Records
from nestling.loadtest.errors import check_above, check_at_least
from nestling.loadtest.request_sender import RequestSender, ScheduledRequest
from nestling.loadtest.setup import Setup


def closed_loop(setup: Setup, clients: int, seconds: float, model: str = "auto") -> Records:
    """The results of all requests that were sent within so many seconds, each of one text.

    Latency counts from the moment at which a client was free to send. The set-up's first protocol
    is used. Raises LoadtestError that names field and limit.
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
