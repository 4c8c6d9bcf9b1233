"""What is measured: the linear layers of known transformers, at several widths and row counts, and
the like for the other operations. A rehearsal on a CPU has shapes that an interpreter can bear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from nestling.kernels.layout import Groups
from nestling.kernels.prefix import Prefix, prefix

from .devices import Random

SHORT = (4, 6, 7, 8, 9, 9, 10, 10, 11, 11, 12, 13, 14, 16, 19, 25)
"""Tokens of short texts: about the distribution of CLINC150, 11.5 on average."""
SKEWED = (512, *(12,) * 63)
"""One long text among short ones."""


@dataclass(frozen=True)
class Shapes:
    """Of one run, the most telling first.

    layers: model dimension and FFN width by name. labels, gate_rows: of the gate. dims: model
    dimensions of a norm, by its widest group. heads: of attention, each `head_dim` wide.
    texts: tokens of each text of a batch, by name. forwards: texts, and tokens of each as often
    repeated as needed. copied, matrix, repeats, calls: as `ceilings` and `Clock` take them.
    compiled: variants that are compiled ahead, at most. rates: requests per second that a server is
    sent for `load_seconds` each: at ease, busy, at its limit. compared: texts whose labels are
    compared.
    """

    layers: Mapping[str, tuple[int, int]]
    widths: tuple[float, ...]
    rows: tuple[int, ...]
    gate_rows: tuple[int, ...]
    labels: tuple[int, ...]
    dims: tuple[int, ...]
    heads: tuple[int, ...]
    head_dim: int
    texts: Mapping[str, tuple[int, ...]]
    forwards: tuple[tuple[int, tuple[int, ...]], ...]
    copied: int
    matrix: int
    repeats: int
    calls: int
    compiled: int
    rates: tuple[int, ...]
    load_seconds: int
    compared: int


FULL = Shapes(
    layers={
        "BERT-base": (768, 3072),
        "MiniLM": (384, 1536),
        "Llama-8B": (4096, 14336),
        "BERT-large, GPT-2 Medium": (1024, 4096),
    },
    widths=(1.0, 1 / 4, 1 / 2, 1 / 8),
    rows=(64, 4096, 512, 8, 16384, 1),
    gate_rows=(64, 512, 8, 4096),
    labels=(150, 1000, 2),
    dims=(768, 384, 1024, 4096),
    heads=(12, 16),
    head_dim=64,
    texts={
        "256 short": SHORT * 16,
        "64, one long": SKEWED,
        "32 × 128": (128,) * 32,
        "8 × 512": (512,) * 8,
    },
    forwards=((512, SHORT), (128, (128,))),
    copied=2**30,
    matrix=8192,
    repeats=15,
    calls=20,
    compiled=10**9,
    rates=(300, 1500, 6000),
    load_seconds=10,
    compared=300,
)
REHEARSED = Shapes(
    layers={"small": (32, 64)},
    widths=(1.0, 0.5),
    rows=(8, 1),
    gate_rows=(4,),
    labels=(3,),
    dims=(32,),
    heads=(2,),
    head_dim=16,
    texts={"two": (3, 5)},
    forwards=((4, (3, 5)),),
    copied=2**10,
    matrix=32,
    repeats=1,
    calls=1,
    compiled=2,
    rates=(20,),
    load_seconds=2,
    compared=20,
)


def shapes_for(device: torch.device) -> Shapes:
    """Small ones on a CPU, where kernels run in Triton's interpreter."""
    return REHEARSED if device.type == "cpu" else FULL


def half() -> torch.dtype:
    """bfloat16, for which Triton's interpreter has no product: float16 there."""
    return torch.float16 if interpreted() else torch.bfloat16


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter."""
    return bool(triton.knobs.runtime.interpret)


@dataclass(frozen=True)
class Layer:
    """The weights of one linear layer of `outputs` × `inputs`, on a device."""

    name: str
    weight: Tensor
    bias: Tensor

    @classmethod
    def random(
        cls, name: str, outputs: int, inputs: int, random: Random, dtype: torch.dtype
    ) -> Layer:
        weight = random.normal(outputs, inputs, dtype=dtype).mul_(inputs**-0.5)
        return cls(name, weight, random.normal(outputs, dtype=dtype))

    def prefix(self, n: int, k: int) -> Prefix:
        """Views of the leading n outputs and k inputs."""
        return Prefix(prefix(self.weight, n, k), prefix(self.bias, n))


def products(shapes: Shapes) -> list[tuple[str, int, int]]:
    """Name, outputs and inputs of both products of each FFN."""
    found = []
    for name, (dim, ffn) in shapes.layers.items():
        found += [(f"{name} up", ffn, dim), (f"{name} down", dim, ffn)]
    return found


def equal_groups(rows: int, count: int) -> Groups:
    """So many groups that share the rows as evenly as can be."""
    return Groups([rows * g // count for g in range(count + 1)])
