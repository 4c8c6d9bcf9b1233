"""Triton's interpreter, in which the kernels run here: what it cannot do, and whether it works."""

from __future__ import annotations

from typing import Any

import numpy as np
import triton
from triton import language as tl
from triton.runtime.interpreter import (
    InterpretedFunction,
    InterpreterBuilder,
    InterpreterError,
    TensorHandle,
    _patch_lang,
)

_dot = InterpreterBuilder.create_dot


def fault(triton_version: str = triton.__version__, numpy_version: str = np.__version__) -> str:
    """Why the interpreter cannot run here, in one sentence; nothing where it can.

    Triton 3.6 keeps each number of a kernel in an array of one element and takes `int()` of it for
    every `range` and index. NumPy deprecated that in 1.25 and refuses it from 2.4 on; Triton 3.7
    takes the element out first. Compiled kernels have nothing to do with NumPy.
    """
    if _release(triton_version) >= (3, 7) or _release(numpy_version) < (2, 4):
        return ""
    return (
        f"The interpreter of Triton {triton_version} does not run with NumPy {numpy_version} "
        "(compiled kernels are not concerned): install triton>=3.7 or numpy<2.4 to run these "
        "tests, and on a machine with a GPU run benchmarks/device.sh instead of them."
    )


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def multiply_bfloat16() -> None:
    """Teaches the interpreter to: it keeps bfloat16 as the bits of a uint16, and would multiply
    those.
    """

    def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        return _dot(self, _widened(a), _widened(b), *rest)

    InterpreterBuilder.create_dot = create_dot


def prepare_a_function_once() -> None:
    """At each call of a function inside a launch it looks through `triton.language` for what it has
    to replace, which takes a third of its time. But a launch replaces at its beginning what it puts
    back at its end, and what a function needs beyond that is never put back.
    """
    prepared = set[Any]()

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.fn not in prepared:
            prepared.add(self.fn)
            _patch_lang(self.fn)
        try:
            return self.rewrite()(*arguments, **named)
        except Exception as error:
            raise InterpreterError(repr(error)) from error

    InterpretedFunction.__call__ = call


def _widened(x: Any) -> Any:
    if x.dtype.scalar != tl.bfloat16:
        return x
    bits = x.data.astype(np.uint32) << 16
    return TensorHandle(bits.view(np.float32), tl.float32)
