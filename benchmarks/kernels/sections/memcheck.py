"""Compute Sanitizer's memcheck on the section `small`, in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile

from ..record import NotRunError, Record

PROGRAM = "compute-sanitizer"
FOUND = 99
"""Exit status if it found something."""
REFUSED = "Device not supported"
"""What it says on a machine that lets nobody watch its device."""
KEPT = 4000
"""Characters of its output, the last."""


def run(record: Record, name: str) -> None:
    """Torch's allocator is told to take each tensor's memory from the device on its own: within
    memory that it holds for later, nothing would be out of bounds.
    """
    if shutil.which(PROGRAM) is None:
        raise NotRunError(f"{PROGRAM}: not on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        watched = [sys.executable, "-m", "benchmarks.kernels", "small", "--device", name]
        command = [
            PROGRAM, "--tool", "memcheck", "--error-exitcode", str(FOUND),
            *watched, "--out", folder,
        ]  # fmt: skip
        environment = os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        ) as watching:
            limit = max(1.0, record.left)
            try:
                said, _ = watching.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                # What it watches is another process, and would go on beside the next section.
                os.killpg(watching.pid, signal.SIGKILL)
                said, _ = watching.communicate()
                record.note(output=said[-KEPT:])
                record.fail(f"{PROGRAM} had not ended after {limit:.0f} s")
                return
    record.note(status=watching.returncode, output=said[-KEPT:])
    if REFUSED in said:
        raise NotRunError(f"{PROGRAM}: {REFUSED}")
    if watching.returncode:
        errors = [line for line in said.splitlines() if "ERROR SUMMARY" in line]
        record.fail(f"status {watching.returncode}: {' '.join(errors) or said[-300:]}")
