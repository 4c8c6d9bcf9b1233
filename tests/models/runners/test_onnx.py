"""A student in plain ONNX Runtime against the same student inside the TA."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from nestling.cli import main
from nestling.models import Checkpoint, NestlingError, Predictor, StudentSpec, load_checkpoint
from nestling.models.checkpoint.manifest import calibrated_for
from nestling.models.families.encoder import ACTIVATIONS
from nestling.models.inputs.tokenizer import TextTokenizer
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.runners.onnx import extra
from nestling.models.runners.onnx.directory import export_onnx
from nestling.models.runners.onnx.graph import build_graph
from nestling.models.runners.onnx.runner import OnnxRunner

from ...conftest import LABELS, pair_architecture, tiny_architecture, tiny_model
from ..test_zoo import TEXTS, shipped

ODD = [(1,), (7, 1, 13), (40, 39, 1, 2, 17)]
"""Lengths of batches; the small model takes 40 tokens at most."""
SPECS = [
    StudentSpec(layers=(3,), dim=16, attention_heads=(1,), ffn=(8,)),
    StudentSpec(layers=(0, 3), dim=32, attention_heads=(2, 4), ffn=(16, 64)),
    StudentSpec(layers=(0, 1, 2), dim=20, attention_heads=(3, 1, 4), ffn=(63, 1, 5)),
    StudentSpec.full(tiny_architecture()),
]
MORE_TEXTS = [
    *TEXTS,
    "set a timer for ten minutes",
    "what time is it in tokyo right now",
    "i lost my credit card and need a new one sent to me",
    "play the next song on my playlist",
    "book me a table for two at an italian place tonight",
    "how much money do i have in my savings account",
    "can you roll a six sided die for me",
    "what is the exchange rate between dollars and euros",
    "my car has a flat tire",
    "remind me to call my mother on sunday",
    "where is my package",
    "how do you spell necessary",
    "turn the volume up",
    "i would like to cancel my reservation for tomorrow night at the hotel",
    "who made you",
    "are you a robot",
    "what is on my shopping list",
    "add milk and eggs to the shopping list please",
    "how long should i boil an egg",
    "find me a flight from denver to chicago on the third of may",
    "do i need a visa to travel to china",
    "what was the last thing i bought",
    "i need to change my pin",
    "pay my electricity bill from checking",
    "what does ephemeral mean",
    "how many miles per gallon does my car get",
    "should i pack a rain coat for paris",
    "flip a coin",
    "when is the next public holiday",
    "what is the meaning of life",
]


def pad(sequences: list[list[int]], filler: int = 0) -> dict[str, Any]:
    """What a graph is fed."""
    shape = len(sequences), max(map(len, sequences))
    ids, mask = np.full(shape, filler, np.int64), np.zeros(shape, np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def draw(lengths: tuple[int, ...], vocabulary: int) -> list[list[int]]:
    rng = random.Random(0)
    return [[rng.randrange(vocabulary) for _ in range(length)] for length in lengths]


def error(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


def session_of(model: NestedTransformer, spec: StudentSpec) -> onnxruntime.InferenceSession:
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    graph = build_graph(model.architecture, weights, spec)
    return onnxruntime.InferenceSession(graph.SerializeToString())


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_it_computes_the_same_for_batches_of_every_shape(spec: StudentSpec) -> None:
    model = tiny_model()
    session = session_of(model, spec)
    for lengths in ODD:
        sequences = draw(lengths, model.architecture.vocabulary)
        (logits,) = session.run(["logits"], pad(sequences, filler=1))
        assert logits.shape == (len(lengths), len(LABELS))
        expected = model(PackedBatch.of(sequences, spec))
        assert error(torch.from_numpy(logits), expected) < 1e-5


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_pairs_have_types_by_their_ids_or_apart(spec: StudentSpec) -> None:
    """As the runner asks, whose graph knows the types by the ids, and as others ask an export."""
    model = tiny_model(architecture=pair_architecture())
    a, weights = model.architecture, {n: w.numpy() for n, w in model.state_dict().items()}
    sequences = draw((7, 40, 2), a.vocabulary * a.token_types)
    expected = model(PackedBatch.of(sequences, spec))
    (logits,) = session_of(model, spec).run(["logits"], pad(sequences))
    assert error(torch.from_numpy(logits), expected) < 1e-5
    typed = build_graph(a, weights, spec, typed=True).SerializeToString()
    given = pad(sequences)
    apart = given | {
        "input_ids": given["input_ids"] % a.vocabulary,
        "token_type_ids": given["input_ids"] // a.vocabulary,
    }
    (logits,) = onnxruntime.InferenceSession(typed).run(["logits"], apart)
    assert error(torch.from_numpy(logits), expected) < 1e-5


def test_the_runner_answers_pairs_as_torch_does(pair_checkpoint: Checkpoint) -> None:
    pairs = [("play some music", "set an alarm for six"), ("what is the weather", "book a table")]
    for student in ("tiny", "small", "ta"):
        expected = Predictor(pair_checkpoint, student).predict(pairs)
        found = Predictor(pair_checkpoint, student, OnnxRunner(pair_checkpoint)).predict(pairs)
        for one, other in zip(found, expected, strict=True):
            assert one.answer.label == other.answer.label
            assert one.answer.confidence == pytest.approx(other.answer.confidence, abs=1e-5)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS.values())))
def test_every_activation_has_a_graph(activation: str) -> None:
    a = replace(tiny_architecture(), activation=activation)
    torch.manual_seed(0)
    model = NestedTransformer(a)
    spec, sequences = SPECS[1], draw(ODD[2], a.vocabulary)
    (logits,) = session_of(model, spec).run(["logits"], pad(sequences))
    expected = model(PackedBatch.of(sequences, spec)).detach()
    assert error(torch.from_numpy(logits), expected) < 1e-5


def nestling(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of a command."""
    monkeypatch.setattr("sys.argv", ["nestling", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_an_exported_student_is_served_by_onnx_runtime_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, out = shipped(), tmp_path / "out"
    command = ("export", checkpoint.path, "--student", "small", "--onnx", "--out")
    assert nestling(monkeypatch, *command, out) == 0
    assert nestling(monkeypatch, *command, tmp_path / "out8", "--int8") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out8"]
    config = json.loads((out / "config.json").read_text("utf-8"))
    assert list(config["id2label"].values()) == list(checkpoint.architecture.head().labels)
    assert config["nestling"]["precision"] == "float32"
    temperature = checkpoint.students["small"].temperature
    assert config["nestling"]["temperature_folded_in"] == temperature
    sequences = TextTokenizer(out / "tokenizer.json").encode(MORE_TEXTS)
    spec = checkpoint.students["small"].spec
    logits = checkpoint.model(PackedBatch.of(sequences, spec))
    assert error(run(out, sequences), logits / temperature) < 1e-5
    rounded = run(tmp_path / "out8", sequences)
    own = calibrated_for(checkpoint, "int8").students["small"].temperature
    assert own != temperature
    expected = logits / own
    assert error(rounded, expected) > 1e-5
    assert (rounded.argmax(1) == expected.argmax(1)).float().mean() >= 0.9
    assert size(tmp_path / "out8") < size(out)
    # Each row has a scale of its own: neighbours and padding hardly matter.
    alone = torch.cat([run(tmp_path / "out8", [sequence]) for sequence in sequences])
    assert error(alone, rounded) < 0.1 * error(rounded, expected)


def run(directory: Path, sequences: list[list[int]]) -> Tensor:
    session = onnxruntime.InferenceSession(directory / "model.onnx")
    inputs = pad(sequences)
    inputs["token_type_ids"] = np.zeros_like(inputs["input_ids"])
    return torch.from_numpy(session.run(["logits"], inputs)[0])


def size(directory: Path) -> int:
    return (directory / "model.onnx").stat().st_size


def test_never_writes_over(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(NestlingError, match=f"{re.escape(str(tmp_path))}: exists already"):
        export_onnx(checkpoint, "tiny", tmp_path)


def test_leaves_nothing_behind(checkpoint: Checkpoint, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(NestlingError, match="'huge' is none of tiny, small, ta"):
        export_onnx(checkpoint, "huge", tmp_path / "out")
    with pytest.raises(NestlingError, match="precision: 'int4' is none of float32, int8"):
        export_onnx(checkpoint, "tiny", tmp_path / "out", "int4")
    assert sorted(tmp_path.iterdir()) == before


def test_int8_is_an_option_of_onnx(
    checkpoint_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    arguments = ("export", checkpoint_dir, "--student", "tiny", "--out", out, "--int8")
    assert nestling(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err.startswith("nestling: --int8: goes with --onnx")
    assert not out.exists()


def test_names_the_extra_that_is_missing(
    checkpoint_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda _: None)
    with pytest.raises(NestlingError, match="onnx: not installed"):
        export_onnx(load_checkpoint(checkpoint_dir), "tiny", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_long_text_among_short_ones(checkpoint: Checkpoint) -> None:
    """Short texts are not padded to its length: they go through the graph beside each other."""
    sequences = [[5 + i % 9] * (1 + i % 3) for i in range(12)]
    sequences.insert(4, list(range(5, 30)) + [5] * 14)
    runner = OnnxRunner(checkpoint)
    batch = PackedBatch.of(sequences, checkpoint.ta.spec)
    together = runner.logits(batch)
    torch.testing.assert_close(together, checkpoint.model(batch), atol=1e-5, rtol=1e-5)
    for row, ids in enumerate(sequences):
        alone = runner.logits(PackedBatch.of([ids], checkpoint.ta.spec))[0]
        torch.testing.assert_close(together[row], alone, atol=1e-5, rtol=1e-5)
