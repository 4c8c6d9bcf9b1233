"""Each loss against its formula, written out in float64."""

from __future__ import annotations

import math

import pytest
import torch

from nestling.models.training.losses import ramp, relation_loss

from ...conftest import task_with


def test_label_loss_is_smoothed_cross_entropy() -> None:
    logits = torch.randn(5, 7)
    labels = torch.tensor([0, 3, 6, 2, 2])
    log_p = torch.log_softmax(logits.double(), -1)
    smoothed = torch.full((5, 7), 0.1 / 7, dtype=torch.float64)
    smoothed[torch.arange(5), labels] += 0.9
    expected = -(smoothed * log_p).sum(-1).mean()
    torch.testing.assert_close(task_with(7).label_loss(logits, labels, 0.1), expected.float())


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_distillation_loss(temperature: float) -> None:
    student, teacher = torch.randn(4, 9), torch.randn(4, 9)
    p = torch.softmax(teacher.double() / temperature, -1)
    q = torch.softmax(student.double() / temperature, -1)
    expected = temperature**2 * (p * (p / q).log()).sum(-1).mean()
    actual = task_with(9).distillation_loss(student, teacher, temperature)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-6)


def test_distillation_loss_sends_no_gradient_to_the_teacher() -> None:
    student = torch.randn(2, 3, requires_grad=True)
    teacher = torch.randn(2, 3, requires_grad=True)
    task_with(3).distillation_loss(student, teacher, 2.0).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_relation_loss_compares_different_widths_and_ignores_padding() -> None:
    lengths = torch.tensor([3, 5])
    mask = torch.arange(5) < lengths[:, None]
    student, teacher = torch.randn(2, 5, 6), torch.randn(2, 5, 8)
    total, rows = 0.0, 0
    for s in range(2):
        n = int(lengths[s])
        for h in range(2):
            r = []
            for x, width in ((teacher, 4), (student, 3)):
                part = x[s, :n, h * width : (h + 1) * width].double()
                r.append(torch.softmax(part @ part.T / math.sqrt(width), -1))
            total += (r[0] * (r[0] / r[1]).log()).sum().item()
        rows += n
    actual = relation_loss(student, teacher, mask, relation_heads=2)
    assert actual.item() == pytest.approx(total / rows / 2, rel=1e-4)
    student[~mask] = 100.0  # what stands in the padding does not matter
    assert relation_loss(student, teacher, mask, 2).item() == pytest.approx(actual.item(), rel=1e-6)


def test_equal_relations_cost_nothing() -> None:
    x = torch.randn(2, 4, 6)
    mask = torch.ones(2, 4, dtype=torch.bool)
    assert relation_loss(x, x, mask, 3).item() == pytest.approx(0.0, abs=1e-6)


def test_ramp() -> None:
    assert [ramp(step, 4) for step in (0, 2, 4, 9)] == [0.0, 0.5, 1.0, 1.0]
    assert ramp(0, 0) == 1.0
