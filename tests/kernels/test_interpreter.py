from __future__ import annotations

import pytest
import torch
import triton
from triton import language as tl

from .interpreter import fault


@pytest.mark.parametrize(
    ("triton_version", "numpy_version", "works"),
    [
        ("3.6.0", "2.3.5", True),
        ("3.6.0", "2.4.0", False),
        ("3.6.0+git1234", "2.5.2", False),
        ("3.7.0", "2.4.6", True),
        ("3.10.0", "3.0.0rc1", True),
    ],
)
def test_says_which_versions_do_not_go_together(
    triton_version: str, numpy_version: str, works: bool
) -> None:
    reason = fault(triton_version, numpy_version)
    assert bool(reason) != works
    if not works:
        assert f"Triton {triton_version} " in reason
        assert f"NumPy {numpy_version} " in reason
        assert "install triton>=3.7 or numpy<2.4" in reason
        assert "benchmarks/device.sh" in reason


@triton.jit
def count(y, times):
    total = 0
    for _ in range(times):
        total += 1
    tl.store(y, total)


def test_a_loop_runs_as_often_as_an_argument_says() -> None:
    """What breaks where the versions do not go together."""
    y = torch.zeros(1, dtype=torch.int32)
    count[(1,)](y, 5)
    assert y.item() == 5
