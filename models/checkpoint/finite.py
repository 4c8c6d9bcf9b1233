"""What is not finite is refused when it is loaded: a NaN in a weight would be an answer later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..nested.batch import PackedBatch
from .manifest import WEIGHTS, Manifest

STORED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LENGTHS = (6, 22)
"""Tokens of the sequences that every student is asked."""


def in_dtype(
    weight: Tensor, dtype: torch.dtype, device: str, file: Path, name: str, known: bool = False
) -> Tensor:
    """A weight as it is computed with. known: whether it was finite when it was read before.

    Raises CheckpointError that names file and weight: for a dtype that is none of `STORED`, for
    numbers that are not finite, and for those that are too large for `dtype`.
    """
    if weight.dtype not in STORED:
        stored = ", ".join(map(_name, STORED))
        raise CheckpointError(file, f"{name}: dtype {_name(weight.dtype)} is none of {stored}")
    ready = weight.to(device, dtype)
    if known or _is_finite(ready):
        return ready
    if not _is_finite(weight):
        wrong = weight[~weight.isfinite()]
        raise CheckpointError(
            file,
            f"{name}: {wrong[0].item()} and the like in {len(wrong):,} of {weight.numel():,} "
            "places; a weight must be finite",
        )
    raise CheckpointError(
        file, f"{name}: {weight.abs().max().item():g} is too large for {_name(dtype)}"
    )


@torch.inference_mode()
def check_logits(
    manifest: Manifest, logits_of: Callable[[PackedBatch], Tensor], dtype: torch.dtype
) -> None:
    """Ask every student, once, texts that are always the same.

    Weights can be finite and still so large that what comes of them is not, in half precision above
    all. dtype: that `logits_of` computes in. Raises CheckpointError that names the student.
    """
    a, generator = manifest.architecture, torch.Generator().manual_seed(0)
    texts = [
        torch.randint(a.vocabulary, (min(length, a.max_tokens),), generator=generator).tolist()
        for length in LENGTHS
    ]
    students = list(manifest.students.values())
    logits = logits_of(PackedBatch.mixed([(texts, student.spec) for student in students]))
    finite = logits.isfinite().all(dim=1).view(len(students), len(texts)).all(dim=1)
    for student, good in zip(students, finite.tolist(), strict=True):
        if not good:
            narrow = dtype == torch.float16
            more = "; bfloat16 and float32 hold greater ones" if narrow else ""
            raise CheckpointError(
                manifest.path / WEIGHTS,
                f"student {student.name!r} answers with numbers that are not finite when it "
                f"computes in {_name(dtype)}{more}",
            )


def _is_finite(weight: Tensor) -> bool:
    """Whether all numbers are."""
    # One NaN or infinity is in the sum, which takes a tenth of the time of looking at each number.
    total = weight.sum(dtype=torch.float64 if weight.dtype == torch.float64 else torch.float32)
    return bool(total.isfinite()) or bool(weight.isfinite().all())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
