"""RoBERTa: BERT's encoder; positions count from 2; dense layer and classifier in one head."""

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

HEAD = {"pooler": "classifier.dense", "classifier": "classifier.out_proj"}
TOKEN_TYPES = False
POSITION_OFFSET = 2
"""padding_idx + 1: the position of the first token."""


def architecture(config: dict[str, Any], labels: tuple[str, ...]) -> Architecture:
    return read_architecture("roberta", config, labels, POSITION_OFFSET)


def import_weights(weights: dict[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """From `RobertaForSequenceClassification`, or `RobertaModel`, whose pooler is not used."""
    encoder = {name.removeprefix("roberta."): tensor for name, tensor in weights.items()}
    imported = import_encoder(encoder, architecture, POSITION_OFFSET)
    return imported | import_head(weights, HEAD)


def config(spec: StudentSpec, architecture: Architecture) -> dict[str, Any]:
    """Of `RobertaForSequenceClassification`."""
    return export_config(spec, architecture, POSITION_OFFSET) | {
        "model_type": "roberta",
        "architectures": ["RobertaForSequenceClassification"],
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }


def export(
    weights: dict[str, Tensor], spec: StudentSpec, architecture: Architecture
) -> dict[str, Tensor]:
    """The weights of a `RobertaForSequenceClassification`."""
    check_uniform(spec, architecture)
    encoder = export_encoder(weights, spec, architecture, POSITION_OFFSET)
    exported = {"roberta." + name: tensor for name, tensor in encoder.items()}
    head = export_head(weights, HEAD, spec.dim)
    return exported | head
