"""What kernels read off the plan of a batch: how wide a sequence's group is."""

from __future__ import annotations

import triton
import triton.language as tl


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
