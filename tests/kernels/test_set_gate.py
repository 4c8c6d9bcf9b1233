"""The gate of sets of labels, against every set there is, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from nestling.kernels.gate.codes import ENERGY, ENTROPY, MARGIN, PROBABILITY
from nestling.kernels.gate.reference import MARGINS, GateDecision, Scores
from nestling.kernels.set_gate.host import decide_sets
from nestling.kernels.set_gate.reference import set_gate, set_scores

from .buffers import poisoned

Run = Callable[..., GateDecision]
SCORES = (PROBABILITY, MARGIN, ENTROPY, ENERGY)


def codes_of(labels: int) -> Tensor:
    return torch.tensor([1 << i for i in range(labels)])


def host(logits: Tensor, codes: Tensor, *of_rows: Tensor) -> GateDecision:
    found = decide_sets(logits.numpy(), codes.numpy(), *(each.numpy() for each in of_rows))
    return GateDecision(*map(torch.from_numpy, found))


BOTH = pytest.mark.parametrize("run", [set_gate, host], ids=["reference", "host"])


def over_all_sets(logits: Tensor, temperature: Tensor) -> Scores:
    """A set weighs exp of the sum of its labels' logits: from all 2ᴷ weights, in float64."""
    labels = logits.shape[1]
    sets = torch.arange(1 << labels)[:, None] >> torch.arange(labels) & 1
    log_weights = (logits.double() / temperature.double()[:, None]) @ sets.double().T
    energy = log_weights.logsumexp(dim=1)
    p = (log_weights - energy[:, None]).exp()
    entropy = -torch.special.xlogy(p, p).sum(dim=1)
    (best, second), (label, _) = p.topk(2, dim=1).values.T, p.topk(2, dim=1).indices.T
    return Scores(
        label,
        best,
        best / (best + second),
        1 - entropy / (labels * math.log(2)),
        0.5 + 0.5 * energy / (1 + energy),
    )


@BOTH
@pytest.mark.parametrize("shape", [(1, 1), (7, 2), (50, 7), (133, 3), (9, 11)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_equals_all_sets_in_float64(run: Run, shape: tuple[int, int], scale: float) -> None:
    rows, labels = shape
    logits = poisoned(rows, labels) * scale
    logits[:, -1] -= 0.5  # as in life most labels do not hold
    temperature, threshold = torch.linspace(0.3, 3, rows), torch.linspace(0.05, 0.9, rows)
    by, scope = torch.arange(rows) % 4.0, torch.linspace(0, 0.95, rows)
    verdict = run(logits, codes_of(labels), temperature, threshold, by, scope)
    exact = over_all_sets(logits, temperature)
    assert torch.equal(verdict.label, exact.label)
    held = torch.stack(exact[1:])[by.long(), torch.arange(rows)]
    for found, wanted in (
        (verdict.confidence, exact.probability),
        (verdict.score, held),
        (verdict.energy, exact.energy),
    ):
        torch.testing.assert_close(found.double(), wanted, rtol=2e-6, atol=1e-6)
    margin = MARGINS[torch.float32]
    assert torch.equal(verdict.inside, (verdict.energy >= scope + margin) | (scope <= 0))
    assert torch.equal(verdict.accept, (verdict.score >= threshold + margin) & verdict.inside)


@BOTH
def test_rows_that_lie_apart(run: Run) -> None:
    """Every second row of a buffer whose other rows and columns are not numbers."""
    buffer = torch.full((20, 9), float("nan"))
    view = buffer[1::2, 2:8]
    view.copy_(torch.randn(10, 6, generator=torch.Generator().manual_seed(3)))
    of_rows = (torch.full((10,), 1.5), torch.full((10,), 0.4), torch.zeros(10), torch.zeros(10))
    codes = codes_of(12)[::2]
    apart = run(view, codes, *of_rows)
    together = run(view.contiguous(), codes.contiguous(), *of_rows)
    for one, other in zip(apart, together, strict=True):
        assert torch.equal(one, other)


@BOTH
@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_extreme_logits(run: Run, temperature: float) -> None:
    """None is too large for the exponential, and 0 holds: its label is as likely as not."""
    logits = torch.tensor(
        [[80.0, -80.0, 80.0], [-80.0] * 3, [80.0] * 3, [0.0] * 3, [-0.0, 80.0, -80.0], [1e30] * 3]
    )
    rows = len(logits)
    for code in SCORES:
        by, none = torch.full((rows,), code), torch.zeros(rows)
        of_rows = (torch.full((rows,), temperature), torch.full((rows,), 0.5), by, none)
        verdict = run(logits, codes_of(3), *of_rows)
        assert verdict.label.tolist() == [0b101, 0, 0b111, 0b111, 0b011, 0b111]
        for column in (verdict.confidence, verdict.score, verdict.energy):
            assert column.min() >= 0
            assert column.max() <= 1
        if temperature <= 1:
            assert verdict.confidence.tolist() == pytest.approx([1, 1, 1, 1 / 8, 1 / 2, 1])
            expected = {
                PROBABILITY: verdict.confidence.tolist(),
                MARGIN: [1, 1, 1, 1 / 2, 1 / 2, 1],
                ENTROPY: [1, 1, 1, 0, 2 / 3, 1],
                ENERGY: verdict.energy.tolist(),
            }[code]
            assert verdict.score.tolist() == pytest.approx(expected, abs=1e-6)


@BOTH
def test_as_many_labels_as_a_number_has_bits(run: Run) -> None:
    logits = poisoned(40, 62)
    none = torch.zeros(40)
    verdict = run(logits, codes_of(62), torch.ones(40), torch.full((40,), 0.5), none, none)
    for row, label in zip(logits.tolist(), verdict.label.tolist(), strict=True):
        assert label == sum(1 << i for i, z in enumerate(row) if z >= 0)


@BOTH
def test_no_rows(run: Run) -> None:
    verdict = run(torch.zeros(0, 4), codes_of(4), *[torch.ones(0)] * 4)
    assert [len(column) for column in verdict] == [0] * 6


def test_half_precision_has_its_own_margin() -> None:
    for dtype, margin in MARGINS.items():
        logits = poisoned(300, 4, dtype=dtype)
        of_rows = (torch.ones(300), torch.linspace(0.1, 0.9, 300), torch.zeros(300))
        verdict = set_gate(logits, codes_of(4), *of_rows, torch.zeros(300))
        assert torch.equal(verdict.accept, verdict.score >= of_rows[1] + margin)


@pytest.mark.parametrize("labels", [1, 2, 5, 23, 62])
def test_scores_move_by_no_more_than_is_said(labels: int) -> None:
    """By gradients, whose absolute values are summed: no shift of all logits by ε moves a score
    farther. From logits drawn at all scales, and from those at which each moves the farthest.
    """
    generator = torch.Generator().manual_seed(labels)
    scale = torch.logspace(-2, 1.5, 4000)[:, None]
    drawn = scale * torch.randn(4000, labels, generator=generator).double()
    level = torch.linspace(-12, 12, 4801).double()[:, None].expand(-1, labels)
    x = torch.cat([drawn, level]).requires_grad_()
    found = set_scores(x, codes_of(labels), torch.ones(len(x), dtype=torch.float64))
    for score, bound, reached in (
        (found.probability, 0.4, (labels / (labels + 1)) ** (labels + 1)),
        (found.margin, 0.25, 0.25 if labels == 1 else None),
        (found.entropy, 0.33, 0.323),
        (found.energy, 0.125, None),
    ):
        (gradient,) = torch.autograd.grad(score.sum(), x, retain_graph=True)
        moved = gradient.abs().sum(dim=1).max().item()
        assert moved <= bound + 1e-9
        if reached is not None:
            assert moved == pytest.approx(reached, rel=0.01)


def test_the_host_is_as_exact_in_numpy_of_float64() -> None:
    """What it computes is the formula, and float32 alone is what makes it differ."""
    logits = np.random.default_rng(0).normal(size=(30, 5)) * 3
    temperature = np.full(30, 0.7)
    exact = over_all_sets(torch.from_numpy(logits), torch.from_numpy(temperature))
    for code, wanted in zip(SCORES, exact[1:], strict=True):
        found = decide_sets(
            logits, codes_of(5).numpy(), temperature, np.zeros(30), np.full(30, code), np.zeros(30)
        )  # type: ignore[arg-type]
        np.testing.assert_allclose(found[2], wanted.numpy(), atol=1e-7)
