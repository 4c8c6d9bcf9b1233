"""An exported student says what it is, and is as sure as the server: run by others' code alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from nestling.models import Cascade, Checkpoint, Predictor, Stage, StudentSpec, load_checkpoint
from nestling.models.checkpoint.export import export
from nestling.models.checkpoint.manifest import TOKENIZER, calibrated_for
from nestling.models.checkpoint.save import write_calibration, write_checkpoint
from nestling.models.families import FAMILIES, named
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.runners.onnx.directory import export_onnx
from nestling.models.runners.onnx.runner import OnnxRunner

from ...conftest import (
    LABELS,
    SENTENCES,
    pair_architecture,
    tiny_architecture,
    tiny_model,
    tiny_students,
)

TEXTS = [
    "what is the weather",
    "play some music",
    "transfer money to my savings account and set an alarm for six",
    "book",
]
TEMPERATURES = {"tiny": 0.69, "small": 1.7, "odd": 0.9, "ta": 2.3}
INT8_TEMPERATURES = {"tiny": 0.5, "small": 0.6}
BERTS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
ROBERTAS = ["<s>", "<pad>", "</s>", "<unk>"]
"""Special tokens, in the order of the ids that the families' configs have."""


def write_own_tokenizer(family: str, path: Path) -> list[str]:
    """A word-level tokenizer with a family's special tokens where the family has them."""
    bert = "bos_token_id" not in named(family).special_tokens
    words = [*(BERTS if bert else ROBERTAS), *dict.fromkeys(SENTENCES.split())]
    first, last, unknown = ("[CLS]", "[SEP]", "[UNK]") if bert else ("<s>", "</s>", "<unk>")
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ids = [(name, words.index(name)) for name in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(f"{first} $A {last}", None, ids)
    tokenizer.save(str(path))
    return words


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint without a calibration. No Hugging Face config can say what `odd` is."""
    folder, family = tmp_path_factory.mktemp(request.param), request.param
    words = write_own_tokenizer(family, folder / "tokenizer.json")
    a = replace(tiny_architecture(), family=family, vocabulary=len(words))
    torch.manual_seed(0)
    model = NestedTransformer(a)
    weights = {n: w + torch.randn_like(w) * 0.3 for n, w in model.state_dict().items()}
    students = {**tiny_students(), "odd": StudentSpec((1, 2), 20, (3, 1), (8, 30))}
    origin = {"teacher": "a|teacher", "data": "train.jsonl"}
    write_checkpoint(folder / "intents", a, students, weights, folder / "tokenizer.json", origin)
    return load_checkpoint(folder / "intents")


@pytest.fixture(scope="module")
def calibrated(plain: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The same, with temperatures for both kinds of logits, and a cascade with one of its own."""
    path = tmp_path_factory.mktemp("calibrated") / "intents"
    path.mkdir()
    for file in plain.path.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    checkpoint = load_checkpoint(path)
    tiny = replace(checkpoint.students["tiny"], temperature=0.8)
    cascade = Cascade("pair", (Stage(tiny, 0.75), Stage(checkpoint.ta, 0.0)))
    write_calibration(checkpoint, TEMPERATURES, {"pair": cascade}, "pair")
    write_calibration(checkpoint, INT8_TEMPERATURES, {}, "ta", "int8")
    return load_checkpoint(path)


@pytest.fixture(params=[False, True], ids=["uncalibrated", "calibrated"])
def checkpoint(
    request: pytest.FixtureRequest, plain: Checkpoint, calibrated: Checkpoint
) -> Checkpoint:
    return calibrated if request.param else plain


def served(checkpoint: Checkpoint, student: str, run: Any = None) -> list[tuple[str, float]]:
    """Label and confidence of each text, as the student answers them in Nestling."""
    predictor = Predictor(checkpoint, student, run)
    return [(predictor.label(d), d.answer.confidence) for d in predictor.predict(TEXTS)]


def check(theirs: list[tuple[str, float]], ours: list[tuple[str, float]], within: float) -> None:
    assert [label for label, _ in theirs] == [label for label, _ in ours]
    assert [p for _, p in theirs] == pytest.approx([p for _, p in ours], rel=within)
    assert len({round(p, 3) for _, p in ours}) > 1


@pytest.mark.parametrize("student", ["tiny", "small", "ta"])
def test_transformers_is_as_sure_as_the_server(
    checkpoint: Checkpoint, student: str, tmp_path: Path
) -> None:
    export(checkpoint, student, tmp_path / "out")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    with torch.inference_mode():
        odds = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.softmax(dim=-1)
    theirs = [(model.config.id2label[int(row.argmax())], row.max().item()) for row in odds]
    check(theirs, served(checkpoint, student), 1e-5)
    temperature = checkpoint.students[student].temperature
    assert f"**Temperature {temperature:g} is folded" in (tmp_path / "out/README.md").read_text()
    assert model.config.nestling["temperature_folded_in"] == temperature


def test_dividing_the_weights_is_exact(calibrated: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    export(calibrated, "small", tmp_path / "out")
    file = load_file(tmp_path / "out" / "model.safetensors")
    (name,) = [n for n in file if n in ("classifier.weight", "classifier.out_proj.weight")]
    expected = (
        calibrated.model.state_dict()["heads.label.classifier.weight"].double()
        / TEMPERATURES["small"]
    )
    assert file[name].dtype == torch.float32
    torch.testing.assert_close(file[name].double(), expected, rtol=1e-6, atol=0)


def program(directory: Path) -> str:
    """The one Python program of an export's README."""
    (found,) = re.findall(
        r"^```python\n(.*?)^```$", (directory / "README.md").read_text(), re.M | re.S
    )
    return str(found)


def printed(directory: Path, forbidden: tuple[str, ...]) -> list[tuple[str, float]]:
    """What the README's program prints, run as it stands where nothing else can be imported."""
    fence = directory.parent / "fence"
    fence.mkdir()
    (fence / "sitecustomize.py").write_text(
        f"import sys\nfor name in {forbidden!r}:\n    sys.modules[name] = None\n"
    )
    (directory / "run.py").write_text(program(directory))
    ran = subprocess.run(
        [sys.executable, "run.py", *TEXTS],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(fence)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = [line.split("  ", 2) for line in ran.stdout.splitlines()]
    assert [text for *_, text in lines] == TEXTS
    return [(label, float(probability)) for probability, label, _ in lines]


def test_the_program_of_the_readme_runs(calibrated: Checkpoint, tmp_path: Path) -> None:
    export(calibrated, "tiny", tmp_path / "out")
    theirs = printed(tmp_path / "out", ("nestling", "onnxruntime"))
    check(theirs, served(calibrated, "tiny"), 1e-4)


@pytest.fixture(scope="module")
def graph(calibrated: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest student as a graph."""
    out = tmp_path_factory.mktemp("graph") / "out"
    export_onnx(calibrated, "tiny", out)
    return out


ALL_BUT_THE_RUNTIME = ("nestling", "torch", "transformers", "onnx", "optimum")


def test_the_program_of_a_graphs_readme_runs(
    calibrated: Checkpoint, graph: Path, tmp_path: Path
) -> None:
    assert sorted(file.name for file in graph.iterdir()) == [
        "README.md", "config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    shutil.copytree(graph, tmp_path / "out")
    theirs = printed(tmp_path / "out", ALL_BUT_THE_RUNTIME)
    check(theirs, served(calibrated, "tiny"), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("student", ["small", "odd", "ta"])
def test_the_program_of_every_graphs_readme_runs(
    checkpoint: Checkpoint, student: str, tmp_path: Path
) -> None:
    export_onnx(checkpoint, student, tmp_path / "out")
    theirs = printed(tmp_path / "out", ALL_BUT_THE_RUNTIME)
    check(theirs, served(checkpoint, student), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("student", ["tiny", "ta"])
def test_int8_has_the_temperature_of_its_own_calibration(
    calibrated: Checkpoint, student: str, tmp_path: Path
) -> None:
    export_onnx(calibrated, student, tmp_path / "out", "int8")
    rounded = calibrated_for(calibrated, "int8")
    expected = served(rounded, student, OnnxRunner(rounded, "int8"))
    assert rounded.students[student].temperature != 1
    check(printed(tmp_path / "out", ALL_BUT_THE_RUNTIME), expected, 1e-3)
    card = (tmp_path / "out/README.md").read_text()
    assert f"**Temperature {rounded.students[student].temperature:g} is folded" in card
    assert "`calibration.onnx-int8.json`" in card


def test_a_graph_is_a_hugging_face_directory(calibrated: Checkpoint, graph: Path) -> None:
    """What `optimum` asks of one: a config that names the model, a tokenizer, the usual inputs."""
    import onnxruntime

    config = transformers.AutoConfig.from_pretrained(graph)
    family = calibrated.architecture.family
    assert config.model_type == family
    assert config.id2label == dict(enumerate(LABELS))
    assert config.label2id == {label: i for i, label in enumerate(LABELS)}
    assert config.problem_type == "single_label_classification"
    tokenizer = transformers.AutoTokenizer.from_pretrained(graph)
    session = onnxruntime.InferenceSession(graph / "model.onnx")
    names = [node.name for node in session.get_inputs()]
    types = ["token_type_ids"] if named(family).token_types else []
    assert names == ["input_ids", "attention_mask", *types]
    assert [node.name for node in session.get_outputs()] == ["logits"]
    encoded = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="np")
    assert set(encoded) == set(names)
    (logits,) = session.run(["logits"], dict(encoded))
    odds = torch.from_numpy(logits).softmax(dim=-1)
    theirs = [(config.id2label[int(row.argmax())], row.max().item()) for row in odds]
    check(theirs, served(calibrated, "tiny"), 1e-5)


PAIRS = [("what is the weather", "play some music and set an alarm"), ("book a table", "six")]


def answered(checkpoint: Checkpoint, student: str) -> list[tuple[str, float]]:
    predictor = Predictor(checkpoint, student)
    return [(predictor.label(d), d.answer.confidence) for d in predictor.predict(PAIRS)]


@pytest.mark.parametrize("types", [2, 1])
def test_pairs_are_answered_alike_by_others_code(
    pair_checkpoint: Checkpoint, tmp_path: Path, types: int
) -> None:
    """Of one type, as some encoders have it, both texts have the first."""
    checkpoint = pair_checkpoint
    if types == 1:
        path, a = tmp_path / "one-type", replace(pair_architecture(), token_types=1)
        weights, tokenizer = tiny_model(architecture=a).state_dict(), checkpoint.path / TOKENIZER
        write_checkpoint(path, a, tiny_students(), weights, tokenizer, {}, dtype=torch.float32)
        checkpoint = load_checkpoint(path)
    expected = answered(checkpoint, "small")
    export(checkpoint, "small", tmp_path / "out")
    export_onnx(checkpoint, "small", tmp_path / "graph")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    encoded = tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")
    assert ("token_type_ids" in encoded) == (types == 2)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    with torch.inference_mode():
        odds = model(**encoded).logits.softmax(dim=-1)
    theirs = [(model.config.id2label[int(row.argmax())], row.max().item()) for row in odds]
    check(theirs, expected, 1e-5)
    for out in ("out", "graph"):
        card = (tmp_path / out / "README.md").read_text()
        assert "It sorts a pair of texts into one of" in card
        assert "with both texts of each pair as arguments" in card


@pytest.mark.parametrize("write", [pytest.param(export, marks=pytest.mark.slow), export_onnx])
def test_the_programs_of_the_readmes_take_pairs(
    pair_checkpoint: Checkpoint, tmp_path: Path, write: Any
) -> None:
    write(pair_checkpoint, "tiny", tmp_path / "out")
    (tmp_path / "out/run.py").write_text(program(tmp_path / "out"))
    words = [sys.executable, "run.py", *(text for pair in PAIRS for text in pair)]
    ran = subprocess.run(words, cwd=tmp_path / "out", capture_output=True, text=True, check=True)
    found = [line.split("  ", 2) for line in ran.stdout.splitlines()]
    check([(label, float(p)) for p, label, _ in found], answered(pair_checkpoint, "tiny"), 1e-4)


def test_the_readme_says_where_a_student_comes_from(calibrated: Checkpoint, tmp_path: Path) -> None:
    export(calibrated, "tiny", tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert calibrated.weights_sha256 in card
    assert "| teacher | `a/teacher` |" in card
    assert "| `pair` | 1 of 2 | 0.750000 | 0.8 | none |" in card
    assert "from `calibration.json`" in card


def test_without_calibration_it_says_so(plain: Checkpoint, tmp_path: Path) -> None:
    export(plain, "small", tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert "no\ncalibration for `small`" in card
    assert "No calibrated cascade of the checkpoint asks `small`." in card


def test_the_config_says_whose_student_it_is(calibrated: Checkpoint, graph: Path) -> None:
    config = json.loads((graph / "config.json").read_text("utf-8"))
    assert config["nestling"] == {
        "extracted_student": "tiny",
        "spec": calibrated.students["tiny"].spec.to_json(),
        "temperature_folded_in": TEMPERATURES["tiny"],
        "weights_sha256": calibrated.weights_sha256,
        "precision": "float32",
    }
