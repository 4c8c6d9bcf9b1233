"""What the tests of memory try of each kernel finds every fault of a kernel."""

from __future__ import annotations

import ast
import warnings
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest

from .equivalent import EQUIVALENT
from .faults import FAULTS
from .mutants import kernels_in, made_from, mutant, mutations, source_of
from .trials import TRIALS, try_all

LONG = ("linear.triton", "attention.triton", "pooled_attention.triton")
NAMED = [
    pytest.param(module, fault, marks=pytest.mark.slow if module in LONG else ())
    for module, faults in FAULTS.items()
    for fault in faults
]
KERNELS = [(module, kernel) for module in TRIALS for kernel in kernels_in(source_of(module))]


@pytest.mark.parametrize(("module", "fault"), NAMED)
def test_a_fault_is_found(module: str, fault: str, tmp_path: Path) -> None:
    faulty = mutant(module, *FAULTS[module][fault], tmp_path)
    assert not passes(module, faulty)


@pytest.mark.slow
@pytest.mark.parametrize("module", TRIALS)
def test_a_kernel_without_a_fault_passes(module: str, tmp_path: Path) -> None:
    as_it_is = ast.unparse(ast.parse(source_of(module)))
    assert passes(module, made_from(as_it_is, module, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(("module", "kernel"), KERNELS)
def test_any_change_of_a_line_is_found(module: str, kernel: str, tmp_path: Path) -> None:
    """A change that is none must stand in `EQUIVALENT`; any other asks for a case of a trial.

    Every third change is tried, for all of them take minutes. After a change of a kernel, begin at
    1 and 2 by hand.
    """
    survivors = []
    for change in islice(mutations(source_of(module), kernel), 0, None, 3):
        if change.after in EQUIVALENT.get(kernel, {}):
            continue
        if passes(module, made_from(change.source, module, tmp_path)):
            survivors.append(f"{change.before}  ->  {change.after}")
    assert not survivors, "\n".join(survivors)


@pytest.mark.slow
@pytest.mark.parametrize(("module", "kernel"), KERNELS)
def test_what_is_called_equivalent_can_happen(module: str, kernel: str) -> None:
    made = {change.after for change in mutations(source_of(module), kernel)}
    assert not EQUIVALENT.get(kernel, {}).keys() - made


def passes(module: str, kernel: ModuleType) -> bool:
    """Whether a kernel does all that is asked of it. A warning of NumPy's is a failure, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            try_all(module, kernel)
        except Exception:  # a fault may show in any way
            return False
    return True
