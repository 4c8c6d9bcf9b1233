"""The parts of a training run that need no optimisation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nestling.models import StudentSpec
from nestling.models.errors import NestlingError
from nestling.models.heads import task_of
from nestling.models.inputs.tokenizer import TextTokenizer
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.shapes import head_weight
from nestling.models.training.augment import recombine
from nestling.models.training.examples import logits_of, tokenise, turn
from nestling.models.training.importance import importance_order
from nestling.models.training.matta import sandwich
from nestling.models.training.permutation import permute
from nestling.models.training.probe import probe
from nestling.models.training.recipe import TrainingPhase
from nestling.models.training.students import default_students

from ...conftest import tiny_architecture, tiny_model, write_tokenizer

TEXTS = ["play some music", "play a song now", "what is the weather", "is the weather nice"]
LABELS = [0, 0, 1, 1]


def test_recombined_texts_are_new_distinct_and_the_same_for_the_same_seed() -> None:
    new = recombine(TEXTS, LABELS, 40, 0.0, seed=1)
    assert new == recombine(TEXTS, LABELS, 40, 0.0, seed=1)
    assert len(set(new)) == len(new) > 10
    assert not set(new) & set(TEXTS)
    for words in (set(text.split()) for text in new):
        music = set(" ".join(TEXTS[:2]).split())
        weather = set(" ".join(TEXTS[2:]).split())
        assert words <= music or words <= weather, "words of one label only"


def test_some_recombined_texts_are_of_two_labels() -> None:
    music = set(" ".join(TEXTS[:2]).split())
    weather = set(" ".join(TEXTS[2:]).split())
    mixed = [
        words
        for words in (set(text.split()) for text in recombine(TEXTS, LABELS, 40, 1.0, seed=1))
        if words & (music - weather) and words & (weather - music)
    ]
    assert mixed


def test_recombined_pairs_have_both_texts_and_stay_apart() -> None:
    """What comes of first texts is first; some of them stand beside the second text of another."""
    firsts = ["play some music", "play a song", "wake me at six", "wake me early"]
    seconds = ["loud sounds are heard", "something is heard", "the alarm rings", "it rings soon"]
    pairs, labels = list(zip(firsts, seconds, strict=True)), [0, 0, 1, 1]
    new = recombine(pairs, labels, 60, 0.0, seed=1)
    assert new == recombine(pairs, labels, 60, 0.0, seed=1)
    assert len(new) == len(set(new)) == 60
    assert not set(new) & set(pairs)
    assert {len(pair) for pair in new if isinstance(pair, tuple)} == {2}
    for first, second in new:
        assert first
        assert second
        groups = [n for n in (slice(0, 2), slice(2, 4))
                  if set(first.split()) <= set(" ".join(firsts[n]).split())
                  and set(second.split()) <= set(" ".join(seconds[n]).split())]  # fmt: skip
        assert len(groups) == 1  # both texts are of one label
    assert any(first in firsts and second in seconds for first, second in new)


def test_what_is_too_long_is_cut_where_a_server_cuts_it(tmp_path: Path) -> None:
    tokenizer = TextTokenizer(write_tokenizer(tmp_path / "tokenizer.json"), second_from=100)
    short, long = ("play some music", "set an alarm"), ("play " * 30, "set an alarm for six")
    fits, cut = tokenise([short, long], tokenizer, 12)
    assert fits == tokenizer.encode([short])[0]
    assert [cut] == tokenizer.encode_truncated([long], 12)
    assert sum(id >= 100 for id in cut) == 6  # all of the second text, and what ends it
    assert tokenise(["play " * 30], tokenizer, 5) == ([2, 15, 15, 15, 3],)


def test_recombination_of_a_single_text_ends() -> None:
    assert len(recombine(["hello"], [0], 1000, 0.5, seed=0)) < 1000


@given(
    count=st.integers(1, 50),
    batch=st.integers(1, 60),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 3),
)
def test_an_epoch_takes_each_example_once(count: int, batch: int, seed: int, epoch: int) -> None:
    steps = count // min(batch, count)
    seen = Counter(
        int(i) for step in range(steps) for i in turn(epoch * steps + step, batch, count, seed)
    )
    assert set(seen.values()) == {1}
    assert len(seen) == steps * min(batch, count)


def test_epochs_differ() -> None:
    assert not np.array_equal(turn(0, 10, 10, 0), turn(1, 10, 10, 0))


def test_sandwich_always_has_the_smallest_and_in_time_everyone() -> None:
    turns = [sandwich(["a", "b", "c", "d"], step, seed=0) for step in range(200)]
    assert all(t[0] == "a" and len(t) == 2 for t in turns)
    counts = Counter(t[1] for t in turns)
    assert set(counts) == {"b", "c", "d"}
    assert min(counts.values()) > 40
    assert sandwich(["only"], 5, 0) == ("only",)
    assert sandwich([], 5, 0) == ()


def test_learning_rate_rises_then_falls() -> None:
    phase = TrainingPhase(steps=100, batch_size=1, learning_rate=1.0, warmup=0.1)
    rates = [phase.rate(step) for step in range(100)]
    assert rates[9] == max(rates) == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.02


def test_a_batch_is_shared_by_all_processes() -> None:
    phase = TrainingPhase(steps=1, batch_size=4, learning_rate=1.0)
    phase.check_processes(examples=100, processes=4)
    with pytest.raises(NestlingError, match="a step of 3 texts cannot be shared by 4 processes"):
        phase.check_processes(examples=3, processes=4)


def test_importance_puts_used_neurons_first_and_keeps_the_output() -> None:
    a = tiny_architecture()
    model = tiny_model().requires_grad_(True)
    with torch.no_grad():
        model.layers[1].down.weight[:, 5:] = 0  # all but five neurons have no effect
    full = StudentSpec.full(a)
    batch = PackedBatch.of([[2, 5, 6, 7, 3], [2, 9, 10, 3], [2, 11, 3]], full)
    order = importance_order(model, model, [(batch, torch.tensor([0, 1, 2]))] * 2)
    assert set(order.ffn[1][:5].tolist()) == {0, 1, 2, 3, 4}
    before = model(batch)
    model.load_state_dict(permute(model.state_dict(), order, a))
    torch.testing.assert_close(model(batch), before, rtol=1e-5, atol=1e-5)


def test_default_students_are_nested_and_small() -> None:
    a = tiny_architecture()
    students = default_students(a)
    costs = [s.validate(a).flops(a).of(11) for s in students.values()]
    assert costs == sorted(costs)
    assert list(students) == ["tiny", "small", "medium"]
    tiny, small, medium = (set(s.layers) for s in students.values())
    assert tiny < small < medium


def test_a_probed_classifier_says_what_the_teacher_says_and_the_encoder_rests() -> None:
    a, model = tiny_architecture(), tiny_model().requires_grad_(True)
    texts = [[2, token, token, 3] for token in range(5, 30)]
    torch.manual_seed(0)
    targets = torch.randn(len(texts), len(a.head().labels)) * 3
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    full = StudentSpec.full(a)
    distillation_loss = task_of(a.head()).distillation_loss
    far = distillation_loss(logits_of(model, full, texts, "ta"), targets, 2.0)
    probe(model, texts, targets, temperature=2.0, seed=0)
    assert distillation_loss(logits_of(model, full, texts, "ta"), targets, 2.0) < 0.7 * far
    moved = {name for name, w in model.state_dict().items() if not torch.equal(w, before[name])}
    assert moved == {
        head_weight("label", f"{part}.{kind}")
        for part in ("pooler", "classifier")
        for kind in ("weight", "bias")
    }
