"""BERT, MiniLM and sentence-transformers encoders of the BERT architecture."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..architecture import Architecture
from ..spec import StudentSpec
from .encoder import export_config, export_encoder, import_encoder, read_architecture

HEAD = {"pooler": "bert.pooler.dense", "classifier": "classifier"}


def architecture(config: dict[str, Any], labels: tuple[str, ...]) -> Architecture:
    return read_architecture("bert", config, labels, position_offset=0)


def import_weights(weights: dict[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """From `BertForSequenceClassification`, or `BertModel` with or without its pooler."""
    weights = {name if name.startswith(("bert.", "classifier.")) else "bert." + name: tensor
               for name, tensor in weights.items()}  # fmt: skip
    encoder = {name.removeprefix("bert."): tensor for name, tensor in weights.items()}
    imported = import_encoder(encoder, architecture, position_offset=0)
    for ours, theirs in HEAD.items():
        for kind in ("weight", "bias"):
            if f"{theirs}.{kind}" in weights:
                imported[f"{ours}.{kind}"] = weights[f"{theirs}.{kind}"]
    return imported


def export(
    weights: dict[str, Tensor], spec: StudentSpec, architecture: Architecture
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """To `BertForSequenceClassification`."""
    config = export_config(spec, architecture, position_offset=0) | {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "pad_token_id": 0,
    }
    encoder = export_encoder(weights, spec, architecture, position_offset=0)
    exported = {"bert." + name: tensor for name, tensor in encoder.items()}
    d = spec.dim
    exported["bert.pooler.dense.weight"] = weights["pooler.weight"][:d, :d]
    exported["bert.pooler.dense.bias"] = weights["pooler.bias"][:d]
    exported["classifier.weight"] = weights["classifier.weight"][:, :d]
    exported["classifier.bias"] = weights["classifier.bias"]
    return config, exported
