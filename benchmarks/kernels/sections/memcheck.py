"""Compute Sanitizer's memcheck on the section `small`, in a process of its own."""

from __future__ import annotations

import os
import shutil
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
        try:
            ended = subprocess.run(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=max(1.0, record.left),
            )
        except subprocess.TimeoutExpired as late:
            said = late.stdout or b""
            text = said.decode(errors="replace") if isinstance(said, bytes) else said
            record.note(output=text[-KEPT:])
            record.fail(f"{PROGRAM} had not ended after {late.timeout:.0f} s")
            return
    record.note(status=ended.returncode, output=ended.stdout[-KEPT:])
    if REFUSED in ended.stdout:
        raise NotRunError(f"{PROGRAM}: {REFUSED}")
    if ended.returncode:
        errors = [line for line in ended.stdout.splitlines() if "ERROR SUMMARY" in line]
        record.fail(f"status {ended.returncode}: {' '.join(errors) or ended.stdout[-300:]}")
