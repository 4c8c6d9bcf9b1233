"""The checkpoint that ships with the product."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from nestling.models import Checkpoint, Predictor, load_checkpoint
from nestling.models.checkpoint.export import export
from nestling.models.checkpoint.seen import refuse_training_texts
from nestling.models.errors import DataError
from nestling.models.inputs.data import read_labelled
from nestling.models.nested.batch import PackedBatch

EXAMPLES = Path(__file__).parents[2] / "examples" / "clinc150"

TEXTS = [
    "how do i say goodbye in french",
    "what's the weather like in boston tomorrow",
    "move two hundred dollars from checking to savings",
    "i need an alarm for six am and another one for half past seven on every working day",
    "is it going to rain",
    "tell me a joke",
    "why was my card declined at the grocery store yesterday evening",
    "thanks",
    "purple monkey dishwasher",
    "how many calories are in an apple and is that more than there are in a banana",
]


@cache
def shipped() -> Checkpoint:
    path = Path(str(files("nestling.models"))) / "zoo" / "clinc150"
    return load_checkpoint(path)


def test_it_is_small_enough_for_a_repository() -> None:
    size = sum(file.stat().st_size for file in shipped().path.rglob("*") if file.is_file())
    assert size < 48 * 2**20


def test_it_answers_the_first_example() -> None:
    predictor = Predictor(shipped())
    (decision,) = predictor.predict(TEXTS[:1])
    assert predictor.label(decision) == "translate"
    assert decision.answer.confidence > 0.9
    assert decision.relative_cost < 0.05


def test_its_default_is_a_cascade_with_a_guarantee_on_these_weights() -> None:
    cascade = shipped().policy("auto")
    assert len(cascade.stages) > 1
    assert cascade.guarantee is not None
    assert cascade.guarantee.weights_sha256 == shipped().weights_sha256
    assert cascade.guarantee.alpha == 0.005
    assert cascade.guarantee.confidence == 0.95


def test_it_knows_the_texts_it_was_trained_on() -> None:
    data = read_labelled(EXAMPLES / "train.jsonl")
    with pytest.raises(DataError, match="are among those that"):
        refuse_training_texts(shipped(), data.texts, data.sha256, EXAMPLES / "train.jsonl")


def test_alone_equals_batched() -> None:
    predictor = Predictor(shipped())
    together = predictor.predict(TEXTS)
    for text, batched in zip(TEXTS, together, strict=True):
        (alone,) = predictor.predict([text])
        route = [(s.stage.student.name, s.label, s.accepted) for s in alone.steps]
        assert route == [(s.stage.student.name, s.label, s.accepted) for s in batched.steps]
        assert alone.answer.confidence == pytest.approx(batched.answer.confidence, abs=1e-5)


@pytest.mark.parametrize("student", ["tiny", "small", "medium", "ta"])
def test_a_student_alone_gives_the_same_logits(student: str, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    checkpoint = shipped()
    export(checkpoint, student, tmp_path / student)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / student).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / student)
    encoded = tokenizer(TEXTS, padding=True, return_tensors="pt")
    spec = checkpoint.students[student].spec
    with torch.inference_mode():
        theirs = model(**encoded).logits
        ours = checkpoint.model(PackedBatch.of(checkpoint.tokenizer.encode(TEXTS), spec))
        ours = ours / checkpoint.students[student].temperature
    assert ((ours - theirs).norm() / theirs.norm()).item() < 1e-5
