"""The gate, where labels tie and scores lie at the threshold or in the margin below it."""

from __future__ import annotations

from types import ModuleType

import torch

from nestling.kernels.gate.reference import MARGIN, MARGINS

from ..buffers import guarded
from ..far import far_apart
from ..watch import watched
from .checks import check_loads, check_stores

CASES = {  # rows, labels
    "one of each": (1, 1),
    "two labels": (7, 2),
    "odd": (33, 133),
    "more rows than one program's": (63, 7),
    "multiples of 16": (32, 16),
    "many labels": (3, 1000),
    "empty": (0, 7),
}


def trial(kernel: ModuleType, case: str, dtype: torch.dtype, apart: int = 1) -> None:
    rows, labels = CASES[case]
    margin = MARGINS[dtype]
    logits = guarded(torch.ones(rows, labels, dtype=torch.bool), dtype, 0, apart)
    temperature = torch.linspace(0.3, 3, rows)
    threshold = torch.linspace(0.05, 0.9, rows)
    by = torch.zeros(rows)
    by[3::2] = MARGIN
    if rows:
        logits.view[0] = 0  # all are equally sure: the first label
        threshold[0] = exactly(1 / labels, margin) if 1 / labels > margin else 0
    if rows > 2:
        logits.view[1], logits.view[2] = 0, 0
        threshold[1] = threshold[0] + 0.5 * margin  # in the margin
        threshold[2] = 0  # always accepts
    with watched() as watch:
        decision = kernel.gate(logits.view, temperature, threshold, by)
        assert [len(column) for column in decision] == [rows] * 4
        if not rows:
            return
        check_loads(watch, logits=logits)
        for column in decision:
            check_stores(watch, column, torch.ones(rows, dtype=torch.bool))
    exact = torch.softmax(logits.view.double() / temperature.double()[:, None], dim=-1)
    best = exact.max(dim=-1).values
    torch.testing.assert_close(decision.confidence.double(), best, rtol=2e-6, atol=1e-6)
    first = [row.index(max(row)) for row in logits.view.tolist()]
    assert decision.label.tolist() == first
    two = (logits.view.double() / temperature.double()[:, None]).topk(min(2, labels)).values
    held = torch.where(by == MARGIN, torch.softmax(two, dim=-1)[:, 0], best)
    torch.testing.assert_close(decision.score.double(), held, rtol=2e-6, atol=1e-6)
    reached = decision.score >= threshold + margin
    assert torch.equal(decision.accept, reached | (threshold <= 0))
    below = threshold[1:2] <= 0  # where the margin is as wide as the confidence
    assert decision.accept[:3].tolist() == [True, *below, True][:rows]


def exactly(confidence: float, margin: float) -> float:
    """A threshold that this confidence reaches with the margin, and by nothing more, in float32."""
    reached, steps = torch.tensor(confidence), 64
    bound = reached - margin
    for _ in range(steps):
        bound = torch.nextafter(bound, torch.tensor(-1.0))
    for _ in range(2 * steps):
        if bound + margin == reached:
            return float(bound)
        bound = torch.nextafter(bound, torch.tensor(1.0))
    raise ValueError(f"{confidence}: no threshold and {margin} make it")


def far(kernel: ModuleType) -> None:
    """Rows that 32 bits do not reach, of the logits."""
    logits = far_apart(3, 5, torch.float16)
    logits.copy_(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    with watched():
        decision = kernel.gate(logits, torch.ones(3), torch.ones(3), torch.ones(3))
        assert torch.equal(decision.label, logits.argmax(dim=1))
