"""Prepares Triton's interpreter, which the kernels run in here, and stops where it cannot run."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import interpreter

HERE = Path(__file__).parent
COMPILED = HERE / "test_compiled.py"
"""These tests compile the kernels and do without the interpreter."""

interpreter.multiply_bfloat16()
interpreter.prepare_a_function_once()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stops rather than skips: a run without the kernels' tests would look like one that passed."""
    reason = interpreter.fault()
    if reason and any(HERE in item.path.parents and item.path != COMPILED for item in items):
        pytest.exit(reason, returncode=pytest.ExitCode.USAGE_ERROR)
