"""Linear layer on nested prefixes of one weight, for a batch that mixes several sizes."""

from .reference import ACTIVATIONS, linear

__all__ = ["ACTIVATIONS", "linear"]
