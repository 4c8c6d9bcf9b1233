"""The gate, where labels tie, and scores and energies lie at a bound or in the margin below it."""

from __future__ import annotations

import math
from types import ModuleType

import torch
from torch import Tensor

from nestling.kernels.gate.codes import ENERGY, ENTROPY, MARGIN, PROBABILITY
from nestling.kernels.gate.reference import MARGINS

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
    by[3::4], by[4::4], by[5::4] = MARGIN, ENTROPY, ENERGY
    scope = torch.zeros(rows)
    if rows:
        logits.view[0] = 0  # all are equally sure: the first label
        threshold[0] = exactly(1 / labels, margin) if 1 / labels > margin else 0
    if rows > 2:
        logits.view[1], logits.view[2] = 0, 0
        threshold[1] = threshold[0] + 0.5 * margin  # in the margin
        threshold[2] = 0  # always accepts
    if rows > 9:
        energies = exact_scores(logits.view, temperature)[ENERGY]
        for row, off in (
            (6, -0.01),
            (7, 0.5 * margin),
            (8, 2 * margin),
        ):  # inside, between, outside
            scope[row] = energies[row] - margin + off
        # An energy without rounding, whatever computes exp and log: e = 1, and 1/2 + 1/4.
        logits.view[9], logits.view[9, 0], temperature[9] = -200, 1, 1
        scope[9] = exactly(0.75, margin)
        # An energy so low that its score is below any margin: a scope of 0 takes it in.
        logits.view[10], temperature[10] = -60000, 1
        threshold[6:11] = 0
        threshold[12::2] = 0
        scope[11:] = energies[11:] - margin + torch.linspace(-0.1, 0.1, rows - 11)
    with watched() as watch:
        decision = kernel.gate(logits.view, temperature, threshold, by, scope)
        assert [len(column) for column in decision] == [rows] * 6
        if not rows:
            return
        check_loads(watch, logits=logits)
        for column in decision:
            check_stores(watch, column, torch.ones(rows, dtype=torch.bool))
    exact = exact_scores(logits.view, temperature)
    torch.testing.assert_close(decision.confidence.double(), exact[0], rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(decision.energy.double(), exact[ENERGY], rtol=2e-6, atol=1e-6)
    first = [row.index(max(row)) for row in logits.view.tolist()]
    assert decision.label.tolist() == first
    held = torch.stack([exact[code][row] for row, code in enumerate(by.tolist())])
    torch.testing.assert_close(decision.score.double(), held, rtol=2e-6, atol=1e-6)
    assert torch.equal(decision.inside, (decision.energy >= scope + margin) | (scope <= 0))
    reached = (decision.score >= threshold + margin) | (threshold <= 0)
    assert torch.equal(decision.accept, reached & decision.inside)
    if rows > 9:
        assert decision.inside[6:11].tolist() == [True, False, False, True, True]
    below = threshold[1:2] <= 0  # where the margin is as wide as the confidence
    assert decision.accept[:3].tolist() == [True, *below, True][:rows]


def exact_scores(logits: Tensor, temperature: Tensor) -> dict[float, Tensor]:
    """By the gate's code, in float64."""
    z = logits.double() / temperature.double()[:, None]
    p = torch.softmax(z, dim=-1)
    labels, e = z.shape[1], torch.logsumexp(z, dim=-1)
    entropy = -(p * torch.log_softmax(z, dim=-1)).sum(dim=-1)
    return {
        PROBABILITY: p.max(dim=-1).values,
        MARGIN: torch.softmax(z.topk(min(2, labels)).values, dim=-1)[:, 0],
        ENTROPY: 1 - entropy / math.log(max(2, labels)),
        ENERGY: 0.5 + 0.5 * e / (1 + e.abs()),
    }


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
        decision = kernel.gate(logits, *[torch.ones(3)] * 4)
        assert torch.equal(decision.label, logits.argmax(dim=1))
