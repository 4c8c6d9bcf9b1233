"""A student alone as a directory that plain ONNX Runtime serves."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..checkpoint import Checkpoint
from ..export import chosen_student, provenance, write_json
from ..integrity import new_directory
from ..manifest import TOKENIZER
from .graph import write_graph

MODEL, CONFIG = "model.onnx", "config.json"


def export_onnx(
    checkpoint: Checkpoint, student: str, path: str | Path, precision: str = "float32"
) -> None:
    """Write `model.onnx`, `tokenizer.json` and `config.json` under another name, then rename.

    config.json: the labels in the order of the logits, the longest input, the precision, and whose
    student it is with the temperature that its logits are divided by before the softmax.
    Raises NestlingError for an unknown student or precision, for a path that exists, and if the
    extra `onnx` is not installed.
    """
    path = Path(path)
    chosen = chosen_student(checkpoint, student)
    with new_directory(path) as temporary:
        write_graph(checkpoint.model, chosen.spec, temporary / MODEL, precision)
        shutil.copyfile(checkpoint.path / TOKENIZER, temporary / TOKENIZER)
        config = {
            "task": "text-classification",
            "labels": list(checkpoint.architecture.labels),
            "max_tokens": checkpoint.architecture.max_tokens,
            "precision": precision,
            "nestling": provenance(checkpoint, chosen),
        }
        write_json(temporary / CONFIG, config)
