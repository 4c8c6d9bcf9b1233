from __future__ import annotations

import pytest
import torch

from nestling.kernels import gate
from nestling.kernels.gate.reference import MARGINS


@pytest.mark.parametrize("dtype", MARGINS)
def test_accepts_from_the_threshold_plus_the_margin(dtype: torch.dtype) -> None:
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    temperature = torch.linspace(0.3, 3, 50)
    threshold = torch.linspace(0.05, 0.9, 50)
    verdict = gate(logits, temperature, threshold)
    probability = torch.softmax(logits.double() / temperature[:, None], dim=-1)
    torch.testing.assert_close(
        verdict.confidence.double(), probability.max(dim=-1).values, rtol=1e-6, atol=0
    )
    assert torch.equal(verdict.label, logits.argmax(dim=-1))
    assert torch.equal(verdict.accept, verdict.confidence >= threshold + MARGINS[dtype])
    assert verdict.accept.any()
    assert not verdict.accept.all()


def test_a_threshold_of_zero_always_accepts() -> None:
    verdict = gate(torch.zeros(3, 1000), torch.ones(3), torch.tensor([0.0, -1.0, 1e-3]))
    assert verdict.accept.tolist() == [True, True, False]


def test_a_certain_answer_stays_below_a_threshold_of_one() -> None:
    verdict = gate(torch.tensor([[500.0, 0.0]]), torch.ones(1), torch.ones(1))
    assert verdict.confidence.item() == 1
    assert not verdict.accept.item()
