"""A training whose numbers are lost ends, says where, and leaves nothing to go on from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nestling.models import StudentSpec
from nestling.models.checkpoint.save import write_checkpoint
from nestling.models.errors import NotFiniteError
from nestling.models.nested.batch import PackedBatch
from nestling.models.training.examples import logits_of
from nestling.models.training.importance import importance_order

from ...conftest import tiny_architecture, tiny_model, tiny_students, write_tokenizer
from .conftest import Train, Workshop


@pytest.mark.parametrize("options", [["--steps=25"], ["--steps=25", "--save-every=1"]])
def test_a_learning_rate_that_is_too_high(
    workshop: Workshop, train: Train, options: list[str]
) -> None:
    high = [*options, "--learning-rate=1e10", "--batch-size=4"]
    first = train(*high).complaint
    assert first.startswith("nestling: students: ")
    assert "not finite" in first
    assert "lower --learning-rate, which is 1e+10" in first
    assert first.endswith("No checkpoint is written, no state kept")
    assert not (workshop.path / "out").exists()
    assert not (workshop.path / "out.training").exists()
    assert train(*high).complaint == first, "from the start again, not from a state that is lost"
    assert train("--learning-rate=1e-3").status == 0


@pytest.mark.parametrize("steps", [1, 2])
def test_the_last_step_is_looked_at_too(workshop: Workshop, train: Train, steps: int) -> None:
    """Nothing is computed after it but the validation."""
    refused = train(f"--steps={steps}", "--learning-rate=1e38", "--batch-size=20")
    assert "not finite" in refused.complaint
    assert not (workshop.path / "out").exists()


def test_a_loss_that_weighs_too_much(train: Train) -> None:
    said = train("--relation-weight=1e300").complaint
    assert "students: step 1 of 1: the loss is not finite: of " in said
    assert "or --relation-weight, 1e+300" in said


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_teacher_that_is_not_finite(workshop: Workshop, train: Train, value: float) -> None:
    file = workshop.teacher / "model.safetensors"
    weights = load_file(file)
    weights["classifier.weight"][0, 0] = value
    save_file(weights, file)
    said = train().complaint
    assert said == (
        f"nestling: {workshop.teacher}: weight heads.label.classifier.weight: is not finite; "
        "nothing can be learnt from it"
    )
    assert not (workshop.path / "out.training").exists()


def test_a_teacher_whose_answers_are_not_finite(workshop: Workshop, train: Train) -> None:
    """Finite weights whose products are not."""
    file = workshop.teacher / "model.safetensors"
    weights = load_file(file)
    weights["classifier.weight"] = weights["classifier.weight"].sign() * 3e38
    save_file(weights, file)
    said = train().complaint
    assert "teacher: logits of 18 of 18 texts are not finite" in said
    assert not (workshop.path / "out.training").exists()


def test_importance_of_gradients_that_are_not_finite() -> None:
    model = tiny_model().requires_grad_(True)
    with torch.no_grad():
        model.head().classifier.weight.fill_(float("nan"))
    batch = PackedBatch.of([[2, 5, 3]], StudentSpec.full(tiny_architecture()))
    with pytest.raises(NotFiniteError, match="importance: the teacher's gradients"):
        importance_order(model, model, [(batch, torch.tensor([0]))])


def test_logits_that_are_not_finite_have_a_name() -> None:
    model = tiny_model()
    model.head().classifier.bias[1] = float("nan")
    full = StudentSpec.full(tiny_architecture())
    with pytest.raises(NotFiniteError, match="ta: logits of 2 of 2 texts are not finite"):
        logits_of(model, full, [[2, 5, 3], [2, 3]], "ta")


def test_weights_beyond_the_dtype_are_not_written(tmp_path: Path) -> None:
    state = tiny_model().state_dict() | {}
    state["heads.label.classifier.bias"] = torch.full_like(
        state["heads.label.classifier.bias"], 1e5
    )
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json")
    architecture, students = tiny_architecture(), tiny_students()
    with pytest.raises(NotFiniteError, match=r"classifier\.bias: weights that are not finite"):
        write_checkpoint(
            tmp_path / "out", architecture, students, state, tokenizer, {}, torch.float16
        )
    assert list(tmp_path.iterdir()) == [tokenizer]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "tanh"}, "config.json: hidden_act: 'tanh' is none of"),
        ({"model_type": "gpt2"}, "config.json: model_type: 'gpt2' is none of bert, roberta"),
        ({"hidden_size": None}, "config.json: "),
        ({"intermediate_size": 65}, "weight layers.0.up.weight: shape [64, 32], but config.json"),
        ({"num_hidden_layers": 5}, "weight encoder.layer.4.attention.self.query.weight: missing"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label: does not name the classes 0 to 1"),
        ({"id2label": {"0": "a", "1": "a"}}, "id2label: 'a' is the name of two classes"),
        ({"id2label": {"0": "a"}}, "one label only; there is nothing to tell apart"),
    ],
)
def test_a_teacher_that_is_damaged(
    workshop: Workshop, train: Train, change: dict[str, object], message: str
) -> None:
    file = workshop.teacher / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert message in train().complaint


def test_a_teacher_whose_files_are_cut_off(workshop: Workshop, train: Train) -> None:
    weights = workshop.teacher / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert f"{weights}: not safetensors" in train().complaint
    (workshop.teacher / "config.json").write_text("{")
    assert f"{workshop.teacher / 'config.json'}: not JSON" in train().complaint
