"""`nestling serve` on a device that fails twice, with an error that stays.

Usage: failing_server.py FLAGS OF NESTLING SERVE…, or, as a worker, failing_server.py worker CALL
DESCRIPTOR. The device of the first worker does not survive that a text with the word POISON is
classified, that of the second that it is embedded.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestling.server.engine.worker import process

CALLS = ("forward", "embed")
"""Of a runner, which the first workers do not survive."""
POISON = "alarm"
ERROR = "CUDA error: an illegal memory access was encountered"


def work(call: str, descriptor: str) -> None:
    from nestling.models import Checkpoint, device
    from nestling.models.runners import torch
    from nestling.models.runners.base import ForwardBatch, ForwardOutput
    from nestling.models.runners.torch import TorchRunner

    failed = False

    class Failing(TorchRunner):
        def __init__(self, checkpoint: Checkpoint) -> None:
            super().__init__(checkpoint)
            self.poison = checkpoint.tokenizer.encode([POISON])[0][1]

        def forward(self, batch: ForwardBatch) -> ForwardOutput:
            self.survive("forward", batch.sequences)
            return super().forward(batch)

        def embed(
            self, sequences: Sequence[list[int]], student: str, dimensions: int
        ) -> NDArray[np.float32]:
            self.survive("embed", sequences)
            return super().embed(sequences, student, dimensions)

        def survive(self, asked: str, sequences: Sequence[list[int]]) -> None:
            nonlocal failed
            failed = failed or (asked == call and any(self.poison in ids for ids in sequences))
            check("cpu")

    def check(_: str) -> None:
        if failed:
            raise RuntimeError(f"{ERROR}\nCUDA kernel errors might be reported at another call")

    torch.TorchRunner = Failing  # type: ignore[misc]
    device.check = check
    sys.argv = ["worker", descriptor]
    runpy.run_module("nestling.server.engine.worker", run_name="__main__", alter_sys=True)


def serve(arguments: list[str]) -> None:
    from nestling.cli import main

    calls, really = iter(CALLS), subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        if call := next(calls, None):
            command = [sys.executable, "-P", __file__, "worker", call, command[-1]]
        return really(command, **options)  # type: ignore[call-overload,no-any-return]

    process.subprocess.Popen = start  # type: ignore[misc,assignment]
    sys.argv = ["nestling", "serve", "--runner", "torch", *arguments]
    main()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        work(*sys.argv[2:])
    else:
        serve(sys.argv[1:])
