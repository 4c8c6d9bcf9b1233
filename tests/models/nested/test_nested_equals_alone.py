"""A student inside the TA, and the same student exported and run by plain `transformers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nestling.models import Checkpoint, NestlingError, StudentSpec, load_checkpoint
from nestling.models.checkpoint.export import export
from nestling.models.checkpoint.save import write_checkpoint
from nestling.models.families import FAMILIES, family_of, named
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.head_spec import DEFAULT_HEAD, Asked, HeadSpec
from nestling.models.nested.trunk import NestedTransformer

from ...conftest import LABELS, WORDS, tiny_model, write_tokenizer
from ...kernels.buffers import relative_error

TEXTS = [
    "what is the weather",
    "play some music",
    "transfer money to my savings account and set an alarm for six",
    "book",
]


def hugging_face(model_type: str, pooler: bool = True) -> Any:
    """A small random classifier of `transformers`; without pooler, the encoder alone."""
    torch.manual_seed(1)
    family = named(model_type)
    config = transformers.AutoConfig.for_model(
        model_type,
        vocab_size=len(WORDS),
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=40,
        num_labels=len(LABELS),
        max_position_embeddings=40 + family.position_offset,
        type_vocab_size=2,
        **family.special_tokens,
    )
    model: Any
    if pooler:
        model = getattr(transformers, family.model)(config)
    else:
        model = transformers.AutoModel.from_config(config, add_pooling_layer=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def imported(model: Any, inputs: Asked = "text") -> NestedTransformer:
    """The same model, as the TA."""
    config = json.loads(model.config.to_json_string())
    family = family_of(config)
    architecture = family.architecture(
        config, HeadSpec(DEFAULT_HEAD, "single_label", LABELS, inputs=inputs)
    )
    ours = NestedTransformer(architecture)
    weights = family.import_weights(dict(model.state_dict()), architecture)
    outcome = ours.load_state_dict(weights, strict=False)
    assert not outcome.unexpected_keys
    missing = {name.split(".")[0] for name in outcome.missing_keys}
    assert missing <= ({"heads"} if "Model" in type(model).__name__ else set())
    return ours.eval().requires_grad_(False)


@torch.inference_mode()
def padded_logits(model: Any, sequences: list[list[int]]) -> Tensor:
    """By `transformers`, with all sequences padded to the longest."""
    longest = max(map(len, sequences))
    pad = model.config.pad_token_id
    ids = torch.tensor([s + [pad] * (longest - len(s)) for s in sequences])
    mask = torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in sequences])
    logits: Tensor = model(input_ids=ids, attention_mask=mask).logits
    return logits


def random_sequences(lengths: list[int], seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, len(WORDS), (n,), generator=generator).tolist() for n in lengths]


@pytest.mark.parametrize("model_type", FAMILIES)
def test_import_equals_transformers(model_type: str) -> None:
    theirs = hugging_face(model_type)
    ours = imported(theirs)
    sequences = random_sequences([3, 17, 1, 40, 9])
    spec = StudentSpec.full(ours.architecture)
    with torch.inference_mode():
        logits = ours(PackedBatch.of(sequences, spec))
        assert relative_error(logits, padded_logits(theirs, sequences)) < 1e-5
        for sequence, row in zip(sequences, logits, strict=True):
            assert relative_error(row, padded_logits(theirs, [sequence])[0]) < 1e-5


@pytest.mark.parametrize("model_type", FAMILIES)
def test_import_for_pairs_equals_transformers(model_type: str) -> None:
    """Ids beyond the vocabulary are what a model with types has as ids and types apart."""
    theirs = hugging_face(model_type)
    ours = imported(theirs, "pair")
    assert ours.architecture.token_types == (2 if named(model_type).token_types else 1)
    spec, raised = StudentSpec.full(ours.architecture), ours.architecture.second_from
    for ids in random_sequences([3, 17, 40]):
        types = [0] * 2 + [int(raised > 0)] * (len(ids) - 2)
        sequence = [each + raised * kind for each, kind in zip(ids, types, strict=True)]
        with torch.inference_mode():
            row = ours(PackedBatch.of([sequence], spec))
            given = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([types])}
            assert relative_error(row, theirs(**given).logits) < 1e-5


def test_import_of_an_encoder_without_pooler_keeps_its_hidden_rows() -> None:
    theirs = hugging_face("bert", pooler=False)
    ours = imported(theirs)
    sequences = random_sequences([6, 6])
    with torch.inference_mode():
        rows, _ = ours.encode(PackedBatch.of(sequences, StudentSpec.full(ours.architecture)))
        expected = theirs(input_ids=torch.tensor(sequences)).last_hidden_state[:, 0]
    assert relative_error(rows, expected) < 1e-5


@st.composite
def exportable(draw: st.DrawFn) -> StudentSpec:
    """A student of `hugging_face` whose widths a Hugging Face config can say."""
    layers = tuple(sorted(draw(st.sets(st.integers(0, 2), min_size=1))))
    most = draw(st.integers(1, 4))
    heads = tuple(draw(st.integers(1, most)) for _ in layers)
    ffn = tuple(draw(st.integers(1, 40)) for _ in layers)
    return StudentSpec(layers, most * 6, heads, ffn)


@pytest.mark.parametrize("model_type", FAMILIES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=exportable(), lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_random_students(model_type: str, spec: StudentSpec, lengths: list[int]) -> None:
    ours = imported(hugging_face(model_type))
    family = named(model_type)
    config = family.config(spec, ours.architecture)
    weights = family.export(ours.state_dict(), spec, ours.architecture)
    kind = getattr(transformers, family.model)
    alone: Any = kind(kind.config_class.from_dict(config)).eval()
    outcome = alone.load_state_dict(weights, strict=False)
    assert not outcome.unexpected_keys
    assert not [name for name in outcome.missing_keys if "position_ids" not in name]
    sequences = random_sequences(lengths)
    with torch.inference_mode():
        nested = ours(PackedBatch.of(sequences, spec))
    assert relative_error(nested, padded_logits(alone, sequences)) < 1e-5


@pytest.fixture
def exportable_checkpoint(tmp_path: Path) -> Checkpoint:
    """Beside what can be exported, students that cannot."""
    a = tiny_model().architecture
    students = {
        "plain": StudentSpec((1, 3), 16, (2, 1), (8, 30)),
        "odd": StudentSpec((3,), 20, (1,), (8,)),
        "wide": StudentSpec((3,), 16, (4,), (8,)),
    }
    path, tokenizer = tmp_path / "checkpoint", write_tokenizer(tmp_path / "tokenizer.json")
    state = tiny_model().state_dict()
    write_checkpoint(path, a, students, state, tokenizer, {}, dtype=torch.float32)
    return load_checkpoint(path)


@pytest.mark.parametrize("student", ["plain", "ta"])
def test_transformers_loads_an_export(
    exportable_checkpoint: Checkpoint, student: str, tmp_path: Path
) -> None:
    checkpoint, out = exportable_checkpoint, tmp_path / "out"
    export(checkpoint, student, out)
    assert sorted(f.name for f in out.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out).eval()
    assert model.config.nestling["extracted_student"] == student
    with torch.inference_mode():
        theirs = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
        spec = checkpoint.students[student].spec
        ours = checkpoint.model(PackedBatch.of(checkpoint.tokenizer.encode(TEXTS), spec))
    assert relative_error(ours, theirs) < 1e-5
    pipe = transformers.pipeline("text-classification", model=str(out), device="cpu")
    answers = [answer["label"] for answer in pipe(TEXTS)]
    assert answers == [LABELS[i] for i in ours.argmax(dim=-1).tolist()]


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ("odd", "student 'odd' cannot be exported: dim: 20 is no multiple of the head dimension"),
        (
            "wide",
            "student 'wide' cannot be exported: attention_heads: 4 of 8 are wider than the model",
        ),
        ("none", "student: 'none' is none of odd, wide, plain, ta"),
    ],
)
def test_refuses_what_a_config_cannot_say(
    exportable_checkpoint: Checkpoint, student: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(NestlingError) as error:
        export(exportable_checkpoint, student, tmp_path / "out")
    assert str(error.value).startswith(message)
    assert not (tmp_path / "out").exists()


def test_never_writes_over(exportable_checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(NestlingError, match="exists already"):
        export(exportable_checkpoint, "plain", tmp_path)
