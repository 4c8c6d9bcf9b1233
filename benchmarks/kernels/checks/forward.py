"""Whole forwards of mixed students, against the reference on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from nestling.kernels.operations import REFERENCE
from nestling.models import load_checkpoint
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer

from ..cells.cascades import architectures, random_model
from ..devices import operations_on
from ..record import Named, Row
from ..shapes import interpreted
from ..versions import ROOT
from .check import BOUNDS, check, dtypes, relative_error

CPU = torch.device("cpu")
SHIPPED = ROOT / "models" / "zoo" / "clinc150"
LENGTHS = (12, 5, 1, 33, 7, 12, 64, 9)
"""Tokens of the texts, which all students in the batch are asked."""
FACTOR = 4
"""Of one product's bound: errors of the layers add up, and norms scale them back."""


def checks(device: torch.device) -> list[Named]:
    named: list[Named] = []
    for dtype in dtypes():
        for unit in (16, 7):
            run = partial(mixed, device, dtype, unit)
            named.append((f"forward {dtype}, widths in units of {unit}", run))
    if device.type == "cuda":
        for dtype in dtypes():
            named.append((f"shipped checkpoint {dtype}", partial(shipped, device, dtype)))
    return named


def mixed(device: torch.device, dtype: torch.dtype, unit: int) -> Row:
    """Random weights, four students in one batch. unit: of dim and FFN; heads are 8 or 16 wide."""
    a = replace(
        architectures(small=True)["tiny"],
        dim=4 * unit, attention_heads=4, head_dim=unit // 8 * 8 or 8, ffn=8 * unit, layers=3,
        max_tokens=64,
    )  # fmt: skip
    students = (
        StudentSpec((2,), unit, (1,), (unit,)),
        StudentSpec((0, 2), 2 * unit, (2, 1), (3 * unit, 8 * unit)),
        StudentSpec((1, 2), 4 * unit, (1, 4), (unit, 2 * unit)),
        StudentSpec.full(a),
    )
    ours = random_model(a, operations_on(device), CPU, dtype).to(device)
    exact = random_model(a, REFERENCE, CPU, dtype).to(torch.float64)
    return _compared("forward of four students", dtype, a, ours, exact, students)


def shipped(device: torch.device, dtype: torch.dtype) -> Row:
    """The checkpoint that ships with the product, and all of its students."""
    checkpoint = load_checkpoint(SHIPPED, torch.float32)
    a, students = checkpoint.architecture, [s.spec for s in checkpoint.students.values()]
    exact = NestedTransformer(a, REFERENCE)
    ours = NestedTransformer(a, operations_on(device))
    for model in (exact, ours):
        model.load_state_dict(checkpoint.model.state_dict())
        model.requires_grad_(False).eval()
    ours = ours.to(device, dtype)
    exact = exact.to(dtype).to(torch.float64)  # from the same rounded weights
    return _compared("forward of the shipped checkpoint", dtype, a, ours, exact, students)


def _compared(
    name: str,
    dtype: torch.dtype,
    a: Architecture,
    ours: NestedTransformer,
    exact: NestedTransformer,
    students: Sequence[StudentSpec],
) -> Row:
    """The largest relative error of a student's logits."""
    generator = torch.Generator().manual_seed(0)
    lengths = [n for n in LENGTHS[: 3 if interpreted() else None] if n <= a.max_tokens]
    ids = [torch.randint(5, a.vocabulary, (n,), generator=generator).tolist() for n in lengths]
    batch = PackedBatch.mixed([(ids, student) for student in students])
    logits = _logits(ours, batch)
    expected = _logits(exact, batch)
    error = max(
        relative_error(logits[i : i + len(ids)], expected[i : i + len(ids)])
        for i in range(0, len(ids) * len(students), len(ids))
    )
    shape = f"{len(ids)} texts by {len(students)} students, dim {a.dim}, {a.layers} layers"
    return check(name, dtype, shape, error, FACTOR * BOUNDS[dtype])


@torch.inference_mode()
def _logits(model: NestedTransformer, batch: PackedBatch) -> Tensor:
    logits: Tensor = model(batch.to(model.device))
    return logits
