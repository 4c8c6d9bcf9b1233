"""A batch goes to a CUDA device in one copy, comes back in one, and is waited for once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_one_upload_one_download_one_wait() -> None:
    """Of the shipped checkpoint's students in one batch, at first and again, and of an embedding.

    A process of its own, for Triton's interpreter must not have been chosen in it.
    """
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.kernels.forward"],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    cells = json.loads(run.stdout)["cells"]
    assert len(cells) == 6
    for cell in cells:
        assert (cell["uploads"], cell["downloads"], cell["waits"], cell["blocking"]) == (1, 1, 1, 0)
    kept = json.loads((ROOT / "docs" / "benchmarks" / "forward.json").read_text("utf-8"))["cells"]
    assert [cell["launches"]["ours"] for cell in cells] == [c["launches"]["ours"] for c in kept]
