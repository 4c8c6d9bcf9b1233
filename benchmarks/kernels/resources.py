"""What a compiled kernel takes of a card, read from its machine code by the tools that come with
Triton."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

from triton import knobs

MATRIX = {"HGMMA": "wgmma", "IGMMA": "wgmma", "HMMA": "mma", "IMMA": "mma"}
"""By the machine's name of a matrix instruction, that in PTX; those of tcgen05 begin with UTC."""
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?\w+\s+)?([A-Z][A-Z0-9_.]*)", re.MULTILINE)
MEMORY = {"LDG": "loads", "LDGSTS": "copies", "STG": "stores"}


@dataclass(frozen=True)
class Resources:
    """Of one program, on one card.

    instruction: by what it multiplies matrices: wgmma, mma, tcgen05; empty if it does not.
    registers: of a thread. local: instructions that read or write local memory, where registers are
    spilled to. shared: bytes. loads, copies, stores: how many instructions there are that move so
    many bytes from global memory to registers, from there to shared memory, to global memory.
    """

    instruction: str
    registers: int
    local: int
    shared: int
    loads: dict[int, int]
    copies: dict[int, int]
    stores: dict[int, int]


def resources(compiled: Any) -> Resources:
    """Of what `triton.compile` returned.

    Raises RuntimeError if the tools do not say.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        code = _run(knobs.nvidia.nvdisasm.path, "-c", file.name)
        usage = _run(knobs.nvidia.cuobjdump.path, "-res-usage", file.name)
    found = re.search(r"REG:(\d+)", usage)
    if found is None:
        raise RuntimeError(f"cuobjdump does not say how many registers there are: {usage}")
    instructions = INSTRUCTION.findall(code)
    moved: dict[str, Counter[int]] = {name: Counter() for name in MEMORY.values()}
    for name in instructions:
        operation, *details = name.split(".")
        if operation in MEMORY:
            moved[MEMORY[operation]][_bytes(details)] += 1
    return Resources(
        instruction=" and ".join(sorted({_matrix(name) for name in instructions} - {""})),
        registers=int(found[1]),
        local=sum(name.startswith(("LDL", "STL")) for name in instructions),
        shared=compiled.metadata.shared,
        **{name: dict(sorted(counts.items())) for name, counts in moved.items()},
    )


def _run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{command[0]}: {result.stderr.strip()}")
    return result.stdout


@cache
def _matrix(name: str) -> str:
    if name.startswith("UTC") and "MMA" in name:
        return "tcgen05"
    return MATRIX.get(name.partition(".")[0], "")


def _bytes(details: list[str]) -> int:
    """That an instruction moves, by the parts of its name: 4 where it does not say."""
    widths = {"128": 16, "64": 8, "U16": 2, "S16": 2, "U8": 1, "S8": 1}
    return next((widths[each] for each in details if each in widths), 4)
