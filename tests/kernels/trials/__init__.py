"""What each kernel must do with guarded buffers, for its own tests and for those of its mutants.

A trial takes the module of a kernel, or of a mutant, and raises AssertionError or what the kernel
raises unless the kernel reads nothing but its own, writes all of its own and nothing else, and is
right. `TRIALS` names them all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import ModuleType
from typing import NamedTuple

import torch

from ..buffers import TOLERANCE
from . import attention, gate, linear, norm, pooled_attention


class Trials(NamedTuple):
    """run: of the kernel's module, a case, a dtype, and the rows from one row to the next. far: of
    the module alone, on rows that 32 bits do not reach.
    """

    run: Callable[[ModuleType, str, torch.dtype, int], None]
    cases: Collection[str]
    far: Callable[[ModuleType], None]


TRIALS = {
    "linear.triton": Trials(linear.trial, linear.CASES, linear.far),
    "norm.triton": Trials(norm.trial, norm.CASES, norm.far),
    "gate.triton": Trials(gate.trial, gate.CASES, gate.far),
    "attention.triton": Trials(attention.trial, attention.CASES, attention.far),
    "pooled_attention.triton": Trials(
        pooled_attention.trial, pooled_attention.CASES, pooled_attention.far
    ),
}
"""By module of `nestling.kernels`."""
DTYPES = tuple(TOLERANCE)


def try_all(module: str, kernel: ModuleType) -> None:
    """Every case, as the tests do for the real kernel. Raises what the first failure raises."""
    trials = TRIALS[module]
    trials.far(kernel)
    for dtype in DTYPES:
        for case in trials.cases:
            trials.run(kernel, case, dtype, 1)
    for case in trials.cases:
        trials.run(kernel, case, torch.float32, 2)
