"""Records what a launch of a Triton kernel would compile and start, without a card.

Triton decides what to compile from a launch's arguments: their types, which of them divide by 16,
the compile-time ones. It does so on the host, and the same way for tensors of any device. So the
operations run on CPU tensors here, each launch is written down instead of started, and what they
return is memory that nobody has written to.

Needs a process in which Triton was imported without its interpreter.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend
from triton.runtime.jit import JITFunction, create_function_from_signature

from nestling.kernels import tiles


@dataclass(frozen=True)
class Variant:
    """One thing that is compiled: everything of a launch that Triton looks at, hashable and
    picklable.

    kernel: module and function. signature: argument and type. constants: of the compile-time
    arguments, by index. attributes: of the others, by index, such as "divides by 16". options:
    warps, stages.
    """

    kernel: str
    signature: tuple[tuple[str, str], ...]
    constants: tuple[tuple[tuple[int, ...], Any], ...]
    attributes: tuple[tuple[tuple[int, ...], tuple[tuple[str, int], ...]], ...]
    options: tuple[tuple[str, Any], ...]

    def source(self) -> ASTSource:
        """What Triton compiles, in its own terms."""
        module, _, function = self.kernel.partition(":")
        kernel = getattr(importlib.import_module(module), function)
        attributes = {index: [list(pair) for pair in pairs] for index, pairs in self.attributes}
        return ASTSource(kernel, dict(self.signature), dict(self.constants), attributes)

    def compile(self, architecture: str) -> Any:
        """Triton's compiled kernel for an architecture such as `sm_90`, by way of its cache."""
        return triton.compile(
            self.source(), target=target(architecture), options=dict(self.options)
        )

    def named(self, argument: str) -> Any:
        """The value of a compile-time argument."""
        names = [name for name, _ in self.signature]
        return dict(self.constants)[(names.index(argument),)]


@dataclass(frozen=True)
class Launch:
    """A variant, started on so many programs."""

    variant: Variant
    programs: int


def target(architecture: str) -> GPUTarget:
    """`sm_90` in Triton's terms."""
    return GPUTarget("cuda", int(architecture.removeprefix("sm_")), 32)


def shared_memory(architecture: str) -> int:
    """Bytes that one program can have (CUDA C++ Programming Guide, table 30)."""
    number = target(architecture).arch
    if number // 10 in (9, 10, 11):
        return 227 * 1024
    return {75: 64, 80: 163, 87: 163}.get(number, 99) * 1024


@contextmanager
def recorded(architecture: str = "sm_90") -> Iterator[list[Launch]]:
    """The launches of the code within, as they would be on a card of that architecture."""
    launches: list[Launch] = []
    backend = make_backend(target(architecture))
    binders: dict[JITFunction[Any], Any] = {}

    def run(kernel: JITFunction[Any], *given: Any, grid: Any, warmup: bool, **options: Any) -> None:
        options["debug"] = False
        options["instrumentation_mode"] = ""
        if kernel not in binders:
            binders[kernel] = create_function_from_signature(
                kernel.signature, kernel.params, backend
            )
        bound, specialization, _ = binders[kernel](*given, **options)
        parsed, signature, constants, attributes = kernel._pack_args(
            backend, options, bound, specialization, None
        )
        programs = grid(bound) if callable(grid) else grid
        launches.append(
            Launch(
                Variant(
                    f"{kernel.fn.__module__}:{kernel.fn.__name__}",
                    tuple(signature.items()),
                    tuple(constants.items()),
                    tuple(
                        (index, tuple((name, value) for name, value in pairs))
                        for index, pairs in attributes.items()
                    ),
                    (("num_warps", parsed.num_warps), ("num_stages", parsed.num_stages)),
                ),
                math.prod(programs),
            )
        )

    chosen = tiles.tiles_for(backend.target.arch // 10, shared_memory(architecture))
    with (
        patch.object(JITFunction, "run", run),
        patch.object(tiles, "architecture", lambda device: chosen),
    ):
        yield launches
