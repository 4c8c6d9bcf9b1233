"""Linear layer on nested prefixes of one weight, for a batch that mixes several sizes."""

from .reference import grouped_linear

__all__ = ["grouped_linear"]
