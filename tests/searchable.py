"""A TA in which a search finds something: its middle layers add little, its students lack much."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from nestling.models import Checkpoint, StudentSpec, load_checkpoint
from nestling.models.evaluation.predictions import answers_of_ta
from nestling.models.nested.batch import PackedBatch

from .conftest import WORDS, tiny_architecture, tiny_model, write_changed

TEXTS = 240
ADDS = 0.05
"""Of what the middle layers would add."""


def searchable(directory: Path) -> Checkpoint:
    """A checkpoint beside the one in a directory."""
    model = tiny_model()
    words = random.Random(1)
    sequences = [[2, *words.choices(range(4, len(WORDS)), k=6), 3] for _ in range(100)]
    with torch.no_grad():
        for layer in model.layers[:-1]:
            for part in (layer.output, layer.down):
                part.weight.mul_(ADDS)
                part.bias.mul_(ADDS)
        logits = model(PackedBatch.of(sequences, StudentSpec.full(tiny_architecture())))
        model.head().classifier.bias.sub_(logits.mean(dim=0))  # so that it answers every label
    return load_checkpoint(write_changed(directory, model))


def texts_and_truth(checkpoint: Checkpoint) -> tuple[list[str], torch.Tensor]:
    """Texts, and what the TA answers: it is right of all."""
    words = random.Random(0)
    texts = [f"{' '.join(words.choices(WORDS[4:], k=6))} {number}" for number in range(TEXTS)]
    return texts, answers_of_ta(checkpoint, texts, "texts")
