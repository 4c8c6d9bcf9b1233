"""Any number of labels: answers, what they are called, what teaches them, and how good they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nestling.kernels.operations import HOST, REFERENCE
from nestling.models.calibration.temperature import fit_temperature
from nestling.models.heads import task_of
from nestling.models.heads.multi_label import MultiLabel
from nestling.models.nested.head_spec import DEFAULT_HEAD, MOST_LABELS, HeadSpec

NAMES = ("weather", "alarm", "a, b", "é", "music")


def task_with(labels: int) -> MultiLabel:
    names = tuple(f"label {i}" for i in range(labels))
    found = task_of(HeadSpec(DEFAULT_HEAD, "multi_label", names))
    assert isinstance(found, MultiLabel)
    return found


def drawn(rows: int, labels: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(rows, labels, generator=torch.Generator().manual_seed(seed))


def test_answers_by_name() -> None:
    task = task_of(HeadSpec(DEFAULT_HEAD, "multi_label", NAMES))
    assert task.most == 31
    for held in itertools.product([False, True], repeat=5):
        names = [name for name, holds in zip(NAMES, held, strict=True) if holds]
        code = task.code(names)
        assert task.code([*reversed(names), *names]) == code
        assert task.shown(code) == names
    assert task.written(task.code(["weather", "é", "a, b"])) == '["a, b", "weather", "é"]'
    assert task.written(0) == "[]"
    with pytest.raises(KeyError, match="rain"):
        task.code(["rain"])


def test_the_most_labels_fit_into_an_answer() -> None:
    task = task_with(MOST_LABELS["multi_label"])
    every = task.answers(torch.ones(1, 62)).item()
    assert every == task.most == task.code(task.labels) == 2**62 - 1
    assert task.shown(task.most) == list(task.labels)


def test_every_way_to_an_answer_is_the_same() -> None:
    task, logits = task_with(7), drawn(50, 7)
    ones, none = torch.ones(50), torch.zeros(50)
    for operations in (REFERENCE, HOST):
        found = task.gate_of(operations)(logits, ones, 0.5 * ones, none, none)
        assert torch.equal(found.label, task.answers(logits))
    columns = (1.0, 0.5, 0.0, 0.0)
    label, confidence, *_ = task.decide(
        logits.numpy(), *(np.full(50, value, np.float32) for value in columns)
    )
    assert label.tolist() == task.answers(logits).tolist()
    shares = task.probabilities(logits.numpy(), np.full(50, 2.0, np.float32))
    np.testing.assert_allclose(shares, (logits / 2).sigmoid(), rtol=1e-5)
    at_one = task.probabilities(logits.numpy(), np.ones(50, np.float32))
    np.testing.assert_allclose(np.maximum(at_one, 1 - at_one).prod(axis=1), confidence, rtol=1e-5)
    scores = task.scores(logits.double(), torch.ones(50, dtype=torch.float64))
    np.testing.assert_allclose(scores.probability, confidence, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_loss(smoothing: float) -> None:
    task, logits = task_with(4), drawn(6, 4).requires_grad_()
    names = [[], ["label 0"], ["label 3", "label 1"], list(task.labels), ["label 2"], []]
    answers = torch.tensor([task.code(each) for each in names])
    taught = task.taught(answers, names)
    assert taught.tolist() == [[float(n in each) for n in task.labels] for each in names]
    wanted = taught.double() * (1 - smoothing) + smoothing / 2
    p = logits.double().sigmoid()
    expected = -(wanted * p.log() + (1 - wanted) * (1 - p).log()).sum(1).mean()
    loss = task.label_loss(logits, taught, smoothing)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(6 * gradient.double(), p - wanted, rtol=1e-4, atol=1e-6)


def test_the_surest_is_what_smoothed_labels_teach() -> None:
    task = task_with(3)
    z = torch.logit(torch.tensor([[1 - 0.05] * 3]))
    assert task.scores(z, torch.ones(1)).probability.item() == pytest.approx(task.surest(0.1))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_distillation_loss_is_the_divergence_of_the_joint_distribution(temperature: float) -> None:
    task, student, teacher = task_with(3), drawn(5, 3), drawn(5, 3, 1).requires_grad_()
    p, q = (
        torch.stack([over_sets(row / temperature) for row in each.detach()])
        for each in (teacher, student)
    )
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean()
    student.requires_grad_()
    loss = task.distillation_loss(student, teacher, temperature)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=1e-6)
    loss.backward()
    assert teacher.grad is None
    assert student.grad is not None
    extreme = torch.tensor([[80.0, -80.0, 0.0]])
    assert task.distillation_loss(extreme, extreme, temperature).item() == 0
    assert task.distillation_loss(-extreme, extreme, temperature).isfinite()


def over_sets(logits: Tensor) -> Tensor:
    """The probability of each of the 2ᴷ sets."""
    sets = itertools.product([0.0, 1.0], repeat=len(logits))
    weights = [(torch.tensor(each).double() * logits.double()).sum().exp() for each in sets]
    return torch.stack(weights) / torch.stack(weights).sum()


def test_surprise_is_of_the_confidence_that_is_served() -> None:
    task, logits = task_with(3), drawn(40, 3).double()
    truth = torch.tensor([int(a) for a in torch.randint(8, (40,))])
    confidence = task.scores(logits, torch.ones(40, dtype=torch.float64)).probability
    right = task.answers(logits) == truth
    expected = F.binary_cross_entropy(confidence, right.double(), reduction="none")
    torch.testing.assert_close(task.surprise(logits, truth), expected)
    certain = torch.full((2, 3), 800.0, dtype=torch.float64)
    assert task.surprise(certain, torch.tensor([7, 0])).isfinite().all()


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_a_temperature_undoes_a_wrong_scale(factor: float) -> None:
    """Labels drawn from the logits, each on its own: there the confidence is right at 1."""
    task, logits = task_with(4), drawn(4000, 4)
    generator = torch.Generator().manual_seed(1)
    held = torch.rand(4000, 4, generator=generator) < logits.sigmoid()
    truth = (held * torch.tensor([1, 2, 4, 8])).sum(1)
    fitted = fit_temperature(task, factor * logits, truth)
    assert fitted == pytest.approx(factor, rel=0.1)

    def loss(temperature: float) -> float:
        return task.surprise((factor * logits).double() / temperature, truth).mean().item()

    tried = [*np.geomspace(0.05, 20, 200), fitted * 0.999, fitted * 1.001]
    assert loss(fitted) < min(map(loss, tried))


def test_a_temperature_where_labels_come_together() -> None:
    """Three labels that hold together or not at all: their product says too little of the set, and
    the temperature makes up for it, as no fit of each label on its own would.
    """
    logits = drawn(4000, 1).expand(-1, 3)
    held = torch.rand(4000, generator=torch.Generator().manual_seed(1)) < logits[:, 0].sigmoid()
    truth = held.long() * 7
    task = task_with(3)
    share = (task.answers(logits) == truth).double().mean()

    def off(temperature: float) -> float:
        scores = task.scores(logits.double(), torch.full((4000,), temperature).double())
        return (scores.probability.mean() - share).abs().item()

    fitted = fit_temperature(task, logits, truth)
    assert fitted < 0.8
    assert off(fitted) < 0.7 * off(1.0)


def test_f1_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    task = task_with(6)
    generator = torch.Generator().manual_seed(0)
    answers, truth = torch.randint(0, 32, (2, 80), generator=generator)  # no text has the last
    given, true = ((each[:, None] >> torch.arange(5) & 1).numpy() for each in (answers, truth))
    expected = {
        f"{kind}_f1": pytest.approx(f1_score(true, given, average=kind))
        for kind in ("micro", "macro")
    }
    assert task.f1(answers, truth) == expected
    without = torch.tensor([-1, 3])  # the first has no answer, which is no label
    both = torch.tensor([1, 3])
    assert task.f1(without, both) == task.f1(torch.tensor([0, 3]), both)
    assert task.f1(both, both) == {"micro_f1": 1, "macro_f1": 1}
    none = torch.zeros(2, dtype=torch.int64)
    assert task.f1(none, none) == {"micro_f1": 0, "macro_f1": 0}
