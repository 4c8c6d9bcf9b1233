"""Compiles the kernels for GPUs that need not be there. Runs in processes of its own, without the
interpreter that the other tests use.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POINTERS = {"half": "*bf16", "tf32": "*fp32", "ieee": "*fp32"}
INTEGERS = {"offsets": "*i32", "ns": "*i32", "ks": "*i32", "ds": "*i32"}
FLOATS = {"eps": "fp32", "margin": "fp32", "temperature": "*fp32", "threshold": "*fp32"}
RESULTS = {"label": "*i64", "confidence": "*fp32", "accept": "*u8"}
TENSORS = {"x", "w", "b", "y", "residual", "weight", "bias", "logits"}


@dataclass(frozen=True)
class Compiled:
    """What came out: matrix instructions in the PTX, bytes of shared memory, of spilled stores."""

    wgmma: int
    mma: int
    shared: int
    spilled: int


def prepare() -> None:
    """Of each process, before it imports the kernels."""
    os.environ.pop("TRITON_INTERPRET", None)
    os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp()


def compile_kernel(
    name: str, architecture: str, kind: str, constants: dict[str, Any], warps: int, stages: int
) -> Compiled:
    """name: module and kernel within `nestling.kernels`. Strides and widths multiples of 16."""
    import importlib

    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module, _, attribute = name.partition(":")
    kernel = getattr(importlib.import_module(f"nestling.kernels.{module}"), attribute)
    signature, constexprs, attributes = {}, {}, {}
    for index, argument in enumerate(kernel.arg_names):
        if argument in constants:
            signature[argument] = "constexpr"
            constexprs[(index,)] = constants[argument]
            continue
        known = INTEGERS | FLOATS | RESULTS | dict.fromkeys(TENSORS, POINTERS[kind])
        signature[argument] = known.get(argument, "i32")
        if argument in TENSORS or argument in ("n", "k") or argument.endswith("stride"):
            attributes[(index,)] = [["tt.divisibility", 16]]
    number = int(architecture.removeprefix("sm_"))
    compiled = triton.compile(
        ASTSource(kernel, signature, constexprs, attributes),
        target=GPUTarget("cuda", number, 32),
        options={"num_warps": warps, "num_stages": stages},
    )
    ptx = compiled.asm["ptx"]
    return Compiled(
        ptx.count("wgmma.mma_async"),
        ptx.count("mma.sync"),
        compiled.metadata.shared,
        _spilled(ptx, architecture),
    )


def _spilled(ptx: str, architecture: str) -> int:
    """Bytes of spill stores, by the assembler's own account."""
    from triton import knobs

    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "kernel.ptx"
        source.write_text(ptx, "utf-8")
        target = "sm_90a" if architecture == "sm_90" else architecture
        result = subprocess.run(
            [knobs.nvidia.ptxas.path, "-v", "--gpu-name", target, source, "-o", os.devnull],
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"(\d+) bytes spill stores", result.stderr)
    if found is None:
        raise RuntimeError(f"the assembler does not say what it spilled: {result.stderr}")
    return int(found[1])
