"""Linear layer on a prefix of one weight, read in place."""

from .reference import ACTIVATIONS, sliced_linear

__all__ = ["ACTIVATIONS", "sliced_linear"]
