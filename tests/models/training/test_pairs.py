"""Training on pairs of texts: what becomes of both, and what the checkpoint is asked about then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nestling.models import DataError, Predictor, load_checkpoint
from nestling.models.checkpoint.integrity import sha256_of
from nestling.models.checkpoint.manifest import read_manifest
from nestling.models.checkpoint.seen import refuse_training_texts
from nestling.models.inputs.data import TextColumns, read_texts
from nestling.models.training.further.material import FurtherOptions, gather_further
from nestling.models.training.further.parts import FurtherPart

from ...conftest import pair_architecture
from .conftest import Train, Trained, Workshop, write_data, write_pairs, write_pretrained

PAIRS = TextColumns(pairs=True)


@pytest.fixture
def train_pairs(workshop: Workshop, train: Train) -> Train:
    """`train`, on pairs, from an encoder whose tokens have two types."""
    encoder = write_pretrained(workshop.path / "pairs", False, pair_architecture())
    write_pairs(workshop.data, 20, seed=0)
    write_pairs(workshop.validation, 10, seed=1)

    def run(*options: str) -> Trained:
        return train(*options, teacher=encoder)

    return run


def test_a_file_of_pairs_makes_a_checkpoint_of_pairs(
    workshop: Workshop, train_pairs: Train
) -> None:
    more = workshop.path / "more.jsonl"
    more.write_text(json.dumps({"text": "book a table", "text_pair": "play some music"}) + "\n")
    done = train_pairs(f"--unlabelled={more}")
    assert done.status == 0, done.said
    checkpoint = load_checkpoint(workshop.path / "out")
    a = checkpoint.architecture
    assert (a.head().inputs, a.token_types) == ("pair", 2)
    pair = ("play some music", "set an alarm")
    [decision] = Predictor(checkpoint).predict([pair])
    assert [id >= a.vocabulary for id in decision.tokens] == [False] * 5 + [True] * 4
    types = load_file(checkpoint.path / "model.safetensors")["segment"]
    assert types.shape == (2, a.dim)
    assert not torch.equal(types[0], types[1])
    found = read_texts(workshop.data, PAIRS)
    with pytest.raises(DataError, match="was trained on"):
        refuse_training_texts(checkpoint, found, "0" * 64, workshop.data)
    alone = [first for first, _ in found]  # which nobody trained on
    assert refuse_training_texts(checkpoint, alone, "0" * 64, workshop.data) == []


def test_files_of_the_other_kind_are_refused(workshop: Workshop, train_pairs: Train) -> None:
    write_data(workshop.validation, 10, seed=1)
    assert "validation.jsonl: no column 'text_pair'" in train_pairs().complaint
    write_pairs(workshop.validation, 10, seed=1)
    with workshop.data.open("a") as file:
        file.write('{"text": "play some music", "label": "music"}\n')
    assert "train.jsonl: row 21: text_pair is missing" in train_pairs().complaint


def test_the_second_column_may_have_another_name(workshop: Workshop, train_pairs: Train) -> None:
    for path in (workshop.data, workshop.validation):
        path.write_text(path.read_text().replace('"text_pair"', '"then"'))
    done = train_pairs("--text-pair-column=then")
    assert done.status == 0, done.said
    assert read_manifest(workshop.path / "out").architecture.head().inputs == "pair"


def test_traffic_of_pairs_is_learnt_from_by_the_columns_of_a_log(
    pair_checkpoint_dir: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    rows = [{"text": f"play {n}", "text_pair": "some music"} for n in range(100)]
    lines = [*rows, rows[0], {"text": "without a second"}]
    log.write_text("".join(json.dumps(row) + "\n" for row in lines))
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "book", "then": "a table", "label": "music"}\n')
    options = FurtherOptions(
        pair_checkpoint_dir, log, tmp_path / "out", data=data, texts=TextColumns("text", "then")
    )
    found = gather_further(options)
    texts = [each.text for part in FurtherPart for each in found.texts[part]]
    assert sorted(texts) == sorted(
        [("book", "a table"), *((str(row["text"]), "some music") for row in rows)]
    )
    assert "1 lines without a text" in " ".join(found.notes)
    assert found.files["data"] == sha256_of(data)
