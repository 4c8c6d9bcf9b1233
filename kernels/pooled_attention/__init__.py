"""Attention of one query per sequence, without keys and values per token."""

from .reference import pooled_attention

__all__ = ["pooled_attention"]
