"""Without a program its tests are skipped and what brings it is said; in CI that is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")


@pytest.mark.parametrize(("ci", "status"), [("false", 0), ("true", 1)])
def test_an_absent_program(ci: str, status: int) -> None:
    done = subprocess.run(
        [*PYTEST, "tests/deploy/test_rules.py", "-k", "test_rules_are_valid"],
        cwd=ROOT,
        env=os.environ | {"PATH": "/nowhere", "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert (
        "promtool is not installed: 1 test was skipped. "
        "apt-get install --no-install-recommends prometheus"
    ) in done.stdout
