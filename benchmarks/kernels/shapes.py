"""What is measured: the linear layers of known transformers, at several widths and row counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nestling.kernels import Groups, Prefix, prefix

LAYERS = {
    "MiniLM": (384, 1536),
    "BERT-base": (768, 3072),
    "BERT-large, GPT-2 Medium": (1024, 4096),
    "Llama-8B": (4096, 14336),
}
"""Model dimension and FFN width."""
WIDTHS = (1 / 8, 1 / 4, 1 / 2, 1.0)
ROWS = (1, 8, 64, 512, 4096, 16384)


@dataclass(frozen=True)
class Layer:
    """The weights of one linear layer of `outputs` × `inputs`, on a device."""

    name: str
    weight: Tensor
    bias: Tensor

    @classmethod
    def random(
        cls, name: str, outputs: int, inputs: int, device: torch.device, dtype: torch.dtype
    ) -> Layer:
        weight = torch.randn(outputs, inputs, device=device, dtype=dtype) / inputs**0.5
        return cls(name, weight, torch.randn(outputs, device=device, dtype=dtype))

    def prefix(self, n: int, k: int) -> Prefix:
        """Views of the leading n outputs and k inputs."""
        return Prefix(prefix(self.weight, n, k), prefix(self.bias, n))

    def sizes(self, width: float) -> tuple[int, int]:
        """n and k of a student of that width."""
        outputs, inputs = self.weight.shape
        return int(width * outputs), int(width * inputs)


def layers(device: torch.device, dtype: torch.dtype = torch.bfloat16) -> Iterator[Layer]:
    """Both products of each FFN."""
    for name, (dim, ffn) in LAYERS.items():
        yield Layer.random(f"{name} up", ffn, dim, device, dtype)
        yield Layer.random(f"{name} down", dim, ffn, device, dtype)


def equal_groups(rows: int, count: int) -> Groups:
    """So many groups that share the rows as evenly as can be."""
    return Groups([rows * g // count for g in range(count + 1)])
