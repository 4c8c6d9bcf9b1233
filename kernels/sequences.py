"""What kernels read off the plan of a batch: how wide a sequence's group is."""

from __future__ import annotations

import triton
import triton.language as tl

MOST_HEAD_DIM = 256
"""Columns of one head that a program of attention holds at most."""


@triton.jit
def width_of(sequence, members, widths, groups):
    """The width of a sequence's group; 0 beyond the last sequence. sequence: one, or many.

    members, widths: as `Layout.members.on` and `on_device`.
    """
    width = sequence * 0
    for group in range(groups):
        first = tl.load(members + group)
        end = tl.load(members + group + 1)
        inside = (sequence >= first) & (sequence < end)
        width = tl.where(inside, tl.load(widths + group), width)
    return width


def check_head_dim(head_dim: int) -> None:
    """Raises ValueError for heads that a program cannot hold."""
    if head_dim > MOST_HEAD_DIM:
        raise ValueError(f"head_dim: {head_dim}; a program holds at most {MOST_HEAD_DIM}")
