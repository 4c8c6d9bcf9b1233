"""What a launch tells the compiler of sizes: as many elements as it can, up to 8, at once.

Triton loads and stores 16 bytes an instruction where it knows that rows begin, and masks end, at
multiples of them. It finds that out by itself for a size that a launch passes, by compiling once
for multiples of 16, once for 1, once for the rest; a size that is read from the device it does not
know at all. So the kernels leave sizes unspecialised, and get what they are multiples of beside
them.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

WIDEST = tl.constexpr(8)
"""Elements of two bytes that one instruction moves."""


def multiple_of(*sizes: int) -> int:
    """1, 2, 4 or 8: of what all sizes are multiples."""
    return math.gcd(WIDEST.value, *sizes)


@triton.jit
def multiple(size, of: tl.constexpr):
    """The size itself, which is a multiple: so that the compiler knows.

    It follows this form; a hint by `multiple_of` on a value that comes out of a branch is lost.
    """
    return size // of * of
