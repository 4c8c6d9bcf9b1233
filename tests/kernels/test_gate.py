from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nestling.kernels.gate import host_tensors, reference
from nestling.kernels.gate import triton as kernel
from nestling.kernels.gate.codes import ENERGY, ENTROPY, MARGIN, PROBABILITY
from nestling.kernels.gate.reference import MARGINS, GateDecision

from .buffers import poisoned
from .trials.gate import exact_scores

Run = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], GateDecision]
ALL = pytest.mark.parametrize(
    "run", [reference.gate, host_tensors.gate, kernel.gate], ids=["reference", "host", "triton"]
)


@ALL
@pytest.mark.parametrize("dtype", MARGINS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (7, 2), (50, 7), (133, 150), (1100, 3)], ids=str)
def test_equals_float64(run: Run, shape: tuple[int, int], dtype: torch.dtype) -> None:
    rows, labels = shape
    logits = poisoned(rows, labels, dtype=dtype)
    temperature = torch.linspace(0.3, 3, rows)
    threshold = torch.linspace(0.05, 0.9, rows)
    by, scope = torch.arange(rows) % 4.0, torch.linspace(0, 0.95, rows)
    verdict = run(logits, temperature, threshold, by, scope)
    exact = exact_scores(logits, temperature)
    torch.testing.assert_close(verdict.confidence.double(), exact[0], rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(verdict.energy.double(), exact[ENERGY], rtol=2e-6, atol=1e-6)
    highest = logits.gather(1, verdict.label[:, None])[:, 0]
    assert torch.equal(highest, logits.max(dim=-1).values)
    held = torch.stack([exact[code][row] for row, code in enumerate(by.tolist())])
    torch.testing.assert_close(verdict.score.double(), held, rtol=2e-6, atol=1e-6)
    assert torch.equal(verdict.inside, (verdict.energy >= scope + MARGINS[dtype]) | (scope <= 0))
    reached = verdict.score >= threshold + MARGINS[dtype]
    assert torch.equal(verdict.accept, reached & verdict.inside)


@ALL
@pytest.mark.parametrize("labels", [1, 2, 150])
def test_scores_stay_between_0_and_1_wherever_logits_lie(run: Run, labels: int) -> None:
    rows = torch.tensor([-1e30, -300.0, -1.0, 0.0, 1.0, 300.0, 1e30])
    for first in (0.0, 1.0, 1e4):
        logits = rows[:, None].repeat(1, labels)
        logits[:, 0] += first
        for code in (PROBABILITY, MARGIN, ENTROPY, ENERGY):
            verdict = run(
                logits, torch.full((7,), 0.05), *(torch.full((7,), v) for v in (0.5, code, 0.0))
            )
            assert verdict.score.min() >= 0
            assert verdict.score.max() <= 1
        assert torch.equal(verdict.score, verdict.energy)
        assert (verdict.energy.diff() >= 0).all(), "more energy is never a lower score"


@ALL
def test_a_row_outside_its_scope_is_never_accepted(run: Run) -> None:
    """As sure as can be of one label against the others, but little speaks for any of them."""
    logits = torch.tensor([[-20.0, -90.0], [20.0, -50.0]]).repeat(3, 1)
    scope = torch.tensor([0.5, 0.5, 0.0, 0.0, -1.0, 0.99])
    threshold = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.0, 0.0])
    verdict = run(logits, torch.ones(6), threshold, torch.zeros(6), scope)
    assert (verdict.confidence == 1).all()
    assert verdict.inside.tolist() == [False, True, True, True, True, False]
    assert torch.equal(verdict.accept, verdict.inside)


@ALL
def test_a_tie_has_no_margin(run: Run) -> None:
    """Whichever of the two is answered: it is as sure as the other. The first is."""
    logits = torch.tensor([[1.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0], [1.0, 3.0, 2.0, 3.0]])
    verdict = run(
        logits, torch.ones(3), torch.full((3,), 0.5), torch.full((3,), MARGIN), torch.zeros(3)
    )
    assert verdict.label.tolist() == [1, 0, 1]
    assert verdict.score.tolist() == [0.5] * 3
    assert not verdict.accept.any()


@ALL
def test_each_row_has_a_score_of_its_own(run: Run) -> None:
    """Half of the probability is left to many labels, each of which is far behind."""
    logits = torch.zeros(2, 1001)
    logits[:, 7] = 7.0
    verdict = run(
        logits,
        torch.ones(2),
        torch.full((2,), 0.9),
        torch.tensor([PROBABILITY, MARGIN]),
        torch.zeros(2),
    )
    assert verdict.confidence[0] == verdict.confidence[1] == verdict.score[0] < 0.6
    assert verdict.score[1] > 0.999
    assert verdict.accept.tolist() == [False, True]


@ALL
def test_a_threshold_of_zero_always_accepts(run: Run) -> None:
    verdict = run(
        torch.zeros(3, 1000),
        torch.ones(3),
        torch.tensor([0.0, -1.0, 1e-3]),
        torch.zeros(3),
        torch.zeros(3),
    )
    assert verdict.accept.tolist() == [True, True, False]


@ALL
def test_a_certain_answer_stays_below_a_threshold_of_one(run: Run) -> None:
    by = torch.tensor([PROBABILITY, MARGIN])
    verdict = run(
        torch.tensor([[500.0, 0.0]] * 2), torch.ones(2), torch.ones(2), by, torch.zeros(2)
    )
    assert verdict.confidence.tolist() == verdict.score.tolist() == [1, 1]
    assert not verdict.accept.any()


@ALL
def test_no_rows(run: Run) -> None:
    verdict = run(torch.zeros(0, 4), *[torch.ones(0)] * 4)
    assert [len(column) for column in verdict] == [0] * 6


@pytest.mark.parametrize(
    ("logits", "of_rows", "error", "message"),
    [
        (torch.zeros(4, 3).double(), {}, TypeError, "logits: torch.f"),
        (torch.zeros(3, 4).T, {}, ValueError, "logits: stride 4"),
        (torch.zeros(4, 0), {}, ValueError, "logits: 0 labels"),
        (torch.zeros(4, 3), {"temperature": torch.ones(3)}, ValueError, r"temperature: \(3,\)"),
        (torch.zeros(4, 3), {"threshold": torch.ones(4).half()}, TypeError, "threshold: torch."),
        (torch.zeros(4, 3), {"by": torch.ones(4, dtype=torch.int64)}, TypeError, "by: torch."),
        (torch.zeros(4, 3), {"scope": torch.ones(8)[::2]}, ValueError, r"scope: \(4,\)"),
    ],
)
def test_wrong_input_is_refused_before_launch(
    logits: Tensor, of_rows: dict[str, Tensor], error: type[Exception], message: str
) -> None:
    given = {name: torch.ones(4) for name in ("temperature", "threshold", "by", "scope")}
    given |= of_rows
    with pytest.raises(error, match=message):
        kernel.gate(logits, **given)
