"""What a kernel may touch, and how close its results must be."""

from __future__ import annotations

import torch
from torch import Tensor

from ..buffers import Guarded
from ..watch import Watch


def check_loads(watch: Watch, **inputs: Guarded) -> None:
    """Nothing but their own was loaded."""
    for name, x in inputs.items():
        foreign = (watch.loads(x.whole) > 0) & ~x.own
        assert not foreign.any(), f"{name}: loads {foreign.nonzero()[0].tolist()}, not its own"


def check_stores(watch: Watch, y: Tensor, own: Tensor) -> None:
    """All of its own was stored to once, and nothing else."""
    times = watch.stores(y)
    for at in (times != own).nonzero()[:1].tolist():
        raise AssertionError(f"{at}: stored to {times[*at]} times, not {int(own[*at])}")


def near(actual: Tensor, expected: Tensor, scale: float, dtype: torch.dtype) -> bool:
    """Whether no number of a row is off by more than a rounding, of itself and of its sum."""
    off = (actual.double() - expected.double()).abs()
    allowed = torch.finfo(dtype).eps * expected.double().abs() + 1e-5 * scale
    return bool((off <= allowed).all())
