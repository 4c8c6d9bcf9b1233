"""One machine stands for two: the numeric tests, as an old processor would compute them.

NumPy's OpenBLAS, torch and oneDNN choose their kernels by the processor, and sum in other orders on
each. Their environment variables make them choose as an old one would have them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OLD = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
}
"""A processor with SSE4.2 alone. Newer ones stand for themselves in all other tests."""
NUMERIC = (
    "tests/kernels",
    "tests/models/calibration/test_learn_then_test.py",
    "tests/models/nested/test_nested_equals_alone.py",
    "tests/models/nested/test_on_kernels.py",
    "tests/models/runners/test_onnx.py",
    "tests/models/calibration/test_risk.py",
    "tests/models/nested/test_students.py",
    "tests/models/test_zoo.py",
)

NOT_NUMERIC = ("faults", "memory", "order", "watch", "interpreter", "recorder")
"""Tests of kernels that look at what is read and written, not at sums."""


@pytest.mark.slow
def test_numbers_hold_as_on_an_old_processor() -> None:
    command = [sys.executable, "-m", "pytest", "-m", "not slow", "-p", "no:cacheprovider"]
    command += [f"--ignore=tests/kernels/test_{each}.py" for each in NOT_NUMERIC]
    done = subprocess.run(
        [*command, *NUMERIC],
        cwd=ROOT,
        env=os.environ | OLD,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
