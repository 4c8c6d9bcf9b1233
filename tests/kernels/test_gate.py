from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nestling.kernels.gate import GateDecision, host, reference
from nestling.kernels.gate import triton as kernel
from nestling.kernels.gate.reference import MARGINS

from .buffers import poisoned

Run = Callable[[Tensor, Tensor, Tensor], GateDecision]
ALL = pytest.mark.parametrize(
    "run", [reference.gate, host.gate, kernel.gate], ids=["reference", "host", "triton"]
)


@ALL
@pytest.mark.parametrize("dtype", MARGINS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (7, 2), (50, 7), (133, 150), (1100, 3)], ids=str)
def test_equals_float64(run: Run, shape: tuple[int, int], dtype: torch.dtype) -> None:
    rows, labels = shape
    logits = poisoned(rows, labels, dtype=dtype)
    temperature = torch.linspace(0.3, 3, rows)
    threshold = torch.linspace(0.05, 0.9, rows)
    verdict = run(logits, temperature, threshold)
    exact = torch.softmax(logits.double() / temperature.double()[:, None], dim=-1)
    best = exact.max(dim=-1).values
    torch.testing.assert_close(verdict.confidence.double(), best, rtol=2e-6, atol=1e-6)
    highest = logits.gather(1, verdict.label[:, None])[:, 0]
    assert torch.equal(highest, logits.max(dim=-1).values)
    assert torch.equal(verdict.accept, verdict.confidence >= threshold + MARGINS[dtype])


@ALL
def test_a_threshold_of_zero_always_accepts(run: Run) -> None:
    verdict = run(torch.zeros(3, 1000), torch.ones(3), torch.tensor([0.0, -1.0, 1e-3]))
    assert verdict.accept.tolist() == [True, True, False]


@ALL
def test_a_certain_answer_stays_below_a_threshold_of_one(run: Run) -> None:
    verdict = run(torch.tensor([[500.0, 0.0]]), torch.ones(1), torch.ones(1))
    assert verdict.confidence.item() == 1
    assert not verdict.accept.item()


@ALL
def test_no_rows(run: Run) -> None:
    verdict = run(torch.zeros(0, 4), torch.ones(0), torch.ones(0))
    assert [len(column) for column in verdict] == [0, 0, 0]


@pytest.mark.parametrize(
    ("logits", "temperature", "threshold", "error", "message"),
    [
        (torch.zeros(4, 3).double(), torch.ones(4), torch.ones(4), TypeError, "logits: torch.f"),
        (torch.zeros(3, 4).T, torch.ones(4), torch.ones(4), ValueError, "logits: stride 4"),
        (torch.zeros(4, 0), torch.ones(4), torch.ones(4), ValueError, "logits: 0 labels"),
        (torch.zeros(4, 3), torch.ones(3), torch.ones(4), ValueError, r"temperature: \(3,\)"),
        (torch.zeros(4, 3), torch.ones(4), torch.ones(4).half(), TypeError, "threshold: torch."),
    ],
)
def test_wrong_input_is_refused_before_launch(
    logits: Tensor, temperature: Tensor, threshold: Tensor, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        kernel.gate(logits, temperature, threshold)
