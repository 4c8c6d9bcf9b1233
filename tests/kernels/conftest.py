"""Triton's interpreter, which the kernels run in here, learns to multiply bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
from triton import language as tl
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

_dot = InterpreterBuilder.create_dot


def _create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
    """The interpreter keeps bfloat16 as the bits of a uint16, and would multiply those."""
    return _dot(self, _widened(a), _widened(b), *rest)


def _widened(x: Any) -> Any:
    if x.dtype.scalar != tl.bfloat16:
        return x
    bits = x.data.astype(np.uint32) << 16
    return TensorHandle(bits.view(np.float32), tl.float32)


InterpreterBuilder.create_dot = _create_dot
