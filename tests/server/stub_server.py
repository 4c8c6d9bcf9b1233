"""The server with a backend that waits for a file before it answers, for tests of what waits.

Usage: stub_server.py CHECKPOINT GATE [MAX_QUEUED] [METRICS_PORT]. Batches run only while the file
GATE exists.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from nestling.models import load_checkpoint
from nestling.models.runners.base import ForwardBatch, ForwardOutput
from nestling.models.runners.torch import TorchRunner
from nestling.server.build import assemble
from nestling.server.engine.in_process import InProcessExecutor
from nestling.server.http.app import create_app
from nestling.server.settings import Settings
from nestling.server.supervisor.listeners import bind, url_of
from nestling.server.supervisor.run import run


def main(checkpoint: str, gate: str, max_queued: str = "100", metrics_port: str = "") -> None:
    torch.set_num_threads(1)
    settings = Settings(
        port=0,
        metrics_port=int(metrics_port) if metrics_port else None,
        max_client_batch=4,
        max_batch_requests=4,
        max_queued_requests=int(max_queued),
        target_delay_ms=0,  # what waits behind the gate waits as long as its test wants
    )

    class Patient(TorchRunner):
        def forward(self, batch: ForwardBatch) -> ForwardOutput:
            while not Path(gate).exists():
                time.sleep(0.005)
            return super().forward(batch)

    def load(_: Path | None, __: object = None) -> InProcessExecutor:
        return InProcessExecutor(Patient(load_checkpoint(checkpoint)))

    with bind(settings) as listeners:

        def announce() -> None:
            print(url_of(listeners.main), flush=True)
            if listeners.metrics:
                print(f"Metrics: {url_of(listeners.metrics)}", flush=True)

        app = create_app(assemble(load(None), settings, load), settings)
        run(app, settings, listeners, announce)


if __name__ == "__main__":
    main(*sys.argv[1:])
