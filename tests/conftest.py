"""A small checkpoint made on the fly, shared by all tests."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

# Before anything loads a numerical library: on models this small more threads only wait for each
# other, and by far the longest where other work shares the cores. Child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Likewise before anything loads Triton: its kernels run in an interpreter, without a GPU.
os.environ["TRITON_INTERPRET"] = "1"

import pytest
import torch
import typer.main
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

from nestling.models import Checkpoint, StudentSpec, load_checkpoint
from nestling.models.checkpoint.integrity import read_hashed_json, sha256_of, write_hashed_json
from nestling.models.checkpoint.manifest import CONFIG, WEIGHTS
from nestling.models.checkpoint.save import write_checkpoint, write_weights
from nestling.models.checkpoint.schema import SCHEMAS
from nestling.models.heads import task_of
from nestling.models.heads.task import AnswerTask
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.head_spec import DEFAULT_HEAD, HeadSpec
from nestling.models.nested.trunk import NestedTransformer

from .tiers import pytest_collection_modifyitems, pytest_sessionfinish, pytest_terminal_summary

__all__ = ["pytest_collection_modifyitems", "pytest_sessionfinish", "pytest_terminal_summary"]
SENTENCES = (
    "how do i say goodbye in french what is the weather play some music transfer money to my "
    "savings account set an alarm for six turn off lights book a table"
)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(SENTENCES.split())]
LABELS = ("alarm", "money", "music", "translate", "weather")


def tiny_architecture() -> Architecture:
    return Architecture(
        family="bert",
        vocabulary=len(WORDS),
        dim=32,
        layers=4,
        attention_heads=4,
        head_dim=8,
        ffn=64,
        max_tokens=40,
        activation="gelu",
        norm_eps=1e-12,
        heads=(HeadSpec(DEFAULT_HEAD, "single_label", LABELS),),
    )


def tiny_students() -> dict[str, StudentSpec]:
    return {
        "tiny": StudentSpec(layers=(3,), dim=16, attention_heads=(1,), ffn=(8,)),
        "small": StudentSpec(layers=(0, 3), dim=32, attention_heads=(2, 4), ffn=(16, 64)),
    }


def pair_architecture() -> Architecture:
    """The same, asked about pairs of texts, whose tokens are of two types."""
    head = HeadSpec(DEFAULT_HEAD, "single_label", LABELS, inputs="pair")
    return replace(tiny_architecture(), heads=(head,), token_types=2)


def multi_label_architecture() -> Architecture:
    """The same, of which any number of labels may hold."""
    head = HeadSpec(DEFAULT_HEAD, "multi_label", LABELS)
    return replace(tiny_architecture(), heads=(head,))


def task_with(labels: int) -> AnswerTask:
    """One of so many labels."""
    names = tuple(f"label {i}" for i in range(labels))
    return task_of(HeadSpec(DEFAULT_HEAD, "single_label", names))


def tiny_model(seed: int = 0, architecture: Architecture | None = None) -> NestedTransformer:
    """Random weights large enough that labels and confidences differ between texts."""
    torch.manual_seed(seed)
    model = NestedTransformer(architecture or tiny_architecture())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval().requires_grad_(False)


def write_tokenizer(path: Path) -> Path:
    """A word-level tokenizer.json with BERT's normaliser and special tokens."""
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where graphs are kept, for all tests and the servers they start: never the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def command_line() -> Iterator[None]:
    """Made once: each call in this process would put all commands and options together anew, which
    takes longer than what most of them then do.
    """
    kept = functools.cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", kept)
        patch.setattr("typer.testing._get_command", kept)
        yield


def write_tiny(path: Path, architecture: Architecture) -> Path:
    """An uncalibrated checkpoint of `tiny_model` and `tiny_students`, its tokenizer beside it."""
    write_checkpoint(
        path,
        architecture,
        tiny_students(),
        tiny_model(architecture=architecture).state_dict(),
        write_tokenizer(path.with_name("tokenizer.json")),
        {"teacher": "none"},
        dtype=torch.float32,
    )
    return path


@pytest.fixture
def checkpoint_dir(tmp_path: Path) -> Path:
    """An uncalibrated checkpoint directory of its own for each test."""
    return write_tiny(tmp_path / "checkpoint", tiny_architecture())


@pytest.fixture
def checkpoint(checkpoint_dir: Path) -> Checkpoint:
    return load_checkpoint(checkpoint_dir)


@pytest.fixture
def pair_checkpoint_dir(tmp_path: Path) -> Path:
    """As `checkpoint_dir`, of a checkpoint that is asked about pairs of texts."""
    return write_tiny(tmp_path / "pair-checkpoint", pair_architecture())


@pytest.fixture
def pair_checkpoint(pair_checkpoint_dir: Path) -> Checkpoint:
    return load_checkpoint(pair_checkpoint_dir)


@pytest.fixture
def multi_label_checkpoint_dir(tmp_path: Path) -> Path:
    """As `checkpoint_dir`, of a checkpoint that answers any number of labels."""
    return write_tiny(tmp_path / "multi-label-checkpoint", multi_label_architecture())


@pytest.fixture
def multi_label_checkpoint(multi_label_checkpoint_dir: Path) -> Checkpoint:
    return load_checkpoint(multi_label_checkpoint_dir)


def write_changed(directory: Path, model: NestedTransformer) -> Path:
    """A checkpoint like the one in a directory, beside it, with a model's weights."""
    path = directory.with_name(f"{directory.name}-changed")
    write_checkpoint(
        path,
        tiny_architecture(),
        tiny_students(),
        tiny_model().state_dict(),
        directory / "tokenizer.json",
        {"teacher": "none"},
        dtype=torch.float32,
    )
    put_weights(path, model.state_dict())
    return path


def put_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Give a checkpoint these weights and their hash, also where Nestling itself would not."""
    write_weights({name: tensor.detach() for name, tensor in state.items()}, path / WEIGHTS)
    config = read_hashed_json(path / CONFIG, SCHEMAS)
    config["files"][WEIGHTS] = sha256_of(path / WEIGHTS)
    write_hashed_json(path / CONFIG, config)
