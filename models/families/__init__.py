"""Model families: how a Hugging Face checkpoint becomes the TA's weights, and back.

To add one of BERT's kind, describe it in a file of its own and name it here.
"""

from __future__ import annotations

from typing import Any

from .bert import BERT
from .encoder import EncoderFamily
from .roberta import ROBERTA

FAMILIES = {family.name: family for family in (BERT, ROBERTA)}


def family_of(config: dict[str, Any]) -> EncoderFamily:
    """The family of a Hugging Face config; ValueError names those that there are."""
    return named(str(config.get("model_type")))


def named(name: str) -> EncoderFamily:
    """A family by name; ValueError names those that there are."""
    if name not in FAMILIES:
        raise ValueError(f"model_type: {name!r} is none of {', '.join(sorted(FAMILIES))}")
    return FAMILIES[name]
