"""A checkpoint whose texts may have several labels, and what a text answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from nestling.models import Cascade, Checkpoint, Predictor, Stage, load_checkpoint
from nestling.models.checkpoint.save import write_calibration, write_checkpoint
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.head_spec import DEFAULT_HEAD, HeadSpec

from ..conftest import LABELS, tiny_architecture, tiny_model, tiny_students, write_tokenizer
from .conftest import TEMPERATURES, median_gap


def several_architecture() -> Architecture:
    return replace(tiny_architecture(), heads=(HeadSpec(DEFAULT_HEAD, "multi_label", LABELS),))


def write_several(folder: Path, texts: list[str]) -> Checkpoint:
    """Calibrated as `calibrated_dir` is, `strict` with a scope that half of the texts do not reach.

    texts: of which thresholds and scope are taken.
    """
    path = folder / "several"
    state = tiny_model(architecture=several_architecture()).state_dict()
    state["heads.label.classifier.bias"] -= 0.8  # or hardly any text would have no label
    write_checkpoint(
        path,
        several_architecture(),
        tiny_students(),
        state,
        write_tokenizer(folder / "tokenizer.json"),
        {"teacher": "none"},
        dtype=torch.float32,
    )
    write_calibration(load_checkpoint(path), TEMPERATURES, {}, "ta")
    loaded = load_checkpoint(path)
    names = ("tiny", "small")
    stages = [Stage(loaded.students[name], median_gap(loaded, name, texts)) for name in names]
    energies = sorted({d.answer.energy for d in Predictor(loaded, "ta").predict(texts)})
    strict = Stage(loaded.ta, 0.0, scope=sum(energies[len(energies) // 2 :][:2]) / 2)
    cascades = {
        "all": Cascade("all", (*stages, Stage(loaded.ta, 0.0))),
        "strict": Cascade("strict", (strict,)),
    }
    write_calibration(loaded, TEMPERATURES, cascades, "all")
    return load_checkpoint(path)
