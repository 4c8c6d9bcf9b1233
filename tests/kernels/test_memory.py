"""Every kernel reads and writes its own and nothing else, whatever surrounds it."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch

from nestling.kernels.layout import Groups
from nestling.kernels.linear import triton as linears
from nestling.kernels.norm import triton as norms

from .buffers import norm_prefixes, poisoned, prefixes
from .trials import DTYPES, TRIALS
from .watch import watched

ALL = [(module, case) for module, trials in TRIALS.items() for case in trials.cases]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("module", "case"), ALL)
def test_touches_its_own_alone(module: str, case: str, dtype: torch.dtype) -> None:
    TRIALS[module].run(import_module(f"nestling.kernels.{module}"), case, dtype, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("module", "case"), ALL)
def test_passes_over_what_lies_between_its_rows(module: str, case: str) -> None:
    TRIALS[module].run(import_module(f"nestling.kernels.{module}"), case, torch.float32, 2)


@pytest.mark.parametrize("module", TRIALS)
def test_reaches_rows_that_32_bits_do_not(module: str) -> None:
    TRIALS[module].far(import_module(f"nestling.kernels.{module}"))


def test_a_result_may_stand_beside_its_input() -> None:
    """As the projections of a layer do: columns of one buffer, neither of which is the other's."""
    buffer, weight = torch.full((37, 50), 7.0), poisoned(20, 25, 1)
    x, out = buffer[:, 1:26], buffer[:, 27:47]
    x.copy_(poisoned(37, 25))
    kept, groups = x.clone(), Groups((0, 5, 37))
    views = prefixes(weight, torch.zeros(20), (20, 7), (25, 13))
    with watched() as watch:
        linears.linear(x, views, groups, out=out)
        written = watch.stores(buffer)
    own = torch.zeros(37, 50, dtype=torch.int64)
    own[:5, 27:47], own[5:, 27:34] = 1, 1
    assert torch.equal(written, own)
    assert torch.equal(x, kept)
    assert torch.equal(out[:5], linears.linear(kept, views, groups)[:5])


def test_a_row_may_be_its_own_residual() -> None:
    x, groups = poisoned(9, 33), Groups((0, 4, 9))
    views = norm_prefixes(torch.ones(33), torch.zeros(33), (33, 17))
    with watched():
        twice = norms.norm(x, x, views, groups, 1e-6)
    for r, d in zip(groups, (33, 17), strict=True):
        expected = torch.nn.functional.layer_norm(2 * x[r, :d], (d,), eps=1e-6)
        torch.testing.assert_close(twice[r, :d], expected)
