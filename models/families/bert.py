"""BERT, MiniLM and sentence-transformers encoders of the BERT architecture."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec
from .encoder import (
    check_uniform,
    export_config,
    export_encoder,
    export_head,
    import_encoder,
    import_head,
    read_architecture,
)

HEAD = {"pooler": "bert.pooler.dense", "classifier": "classifier"}
TOKEN_TYPES = True


def architecture(config: dict[str, Any], labels: tuple[str, ...]) -> Architecture:
    return read_architecture("bert", config, labels, position_offset=0)


def import_weights(weights: dict[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """From `BertForSequenceClassification`, or `BertModel` with or without its pooler."""
    weights = {name if name.startswith(("bert.", "classifier.")) else "bert." + name: tensor
               for name, tensor in weights.items()}  # fmt: skip
    encoder = {name.removeprefix("bert."): tensor for name, tensor in weights.items()}
    imported = import_encoder(encoder, architecture, position_offset=0)
    return imported | import_head(weights, HEAD)


def config(spec: StudentSpec, architecture: Architecture) -> dict[str, Any]:
    """Of `BertForSequenceClassification`."""
    return export_config(spec, architecture, position_offset=0) | {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "pad_token_id": 0,
    }


def export(
    weights: dict[str, Tensor], spec: StudentSpec, architecture: Architecture
) -> dict[str, Tensor]:
    """The weights of a `BertForSequenceClassification`."""
    check_uniform(spec, architecture)
    encoder = export_encoder(weights, spec, architecture, position_offset=0)
    exported = {"bert." + name: tensor for name, tensor in encoder.items()}
    head = export_head(weights, HEAD, spec.dim)
    return exported | head
