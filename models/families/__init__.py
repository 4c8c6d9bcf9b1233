"""Model families: how a Hugging Face checkpoint becomes the TA's weights, and back.

A family is one module with what `Family` lists. To add one, write that module and name it here.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec
from . import bert, roberta

Weights = dict[str, Tensor]


class Family(Protocol):
    """What a family module offers.

    TOKEN_TYPES: whether its models take `token_type_ids` beside the tokens.
    """

    TOKEN_TYPES: bool

    def architecture(self, config: dict[str, Any], labels: tuple[str, ...]) -> Architecture:
        """The TA at full size, from a Hugging Face config. Raises ValueError if it cannot be."""

    def import_weights(self, weights: Weights, architecture: Architecture) -> Weights:
        """Our names from Hugging Face's. A missing classifier is left out."""

    def config(self, spec: StudentSpec, architecture: Architecture) -> dict[str, Any]:
        """Hugging Face's config of a student alone."""

    def export(self, weights: Weights, spec: StudentSpec, architecture: Architecture) -> Weights:
        """A student alone, by Hugging Face's names. Raises ValueError if it cannot be."""


FAMILIES: dict[str, Family] = {"bert": bert, "roberta": roberta}


def family_of(config: dict[str, Any]) -> Family:
    """The family of a Hugging Face config; ValueError names those that there are."""
    return named(str(config.get("model_type")))


def named(name: str) -> Family:
    """A family by name; ValueError names those that there are."""
    if name not in FAMILIES:
        raise ValueError(f"model_type: {name!r} is none of {', '.join(sorted(FAMILIES))}")
    return FAMILIES[name]
