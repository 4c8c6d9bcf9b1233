"""Every kernel reads and writes its own and nothing else, whatever surrounds it."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch

from .trials import DTYPES, TRIALS

ALL = [(module, case) for module, trials in TRIALS.items() for case in trials.cases]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("module", "case"), ALL)
def test_touches_its_own_alone(module: str, case: str, dtype: torch.dtype) -> None:
    TRIALS[module].run(import_module(f"nestling.kernels.{module}"), case, dtype, 1)


@pytest.mark.parametrize(("module", "case"), ALL)
def test_passes_over_what_lies_between_its_rows(module: str, case: str) -> None:
    TRIALS[module].run(import_module(f"nestling.kernels.{module}"), case, torch.float32, 2)


@pytest.mark.parametrize("module", TRIALS)
def test_reaches_rows_that_32_bits_do_not(module: str) -> None:
    TRIALS[module].far(import_module(f"nestling.kernels.{module}"))
