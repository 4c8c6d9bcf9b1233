"""The same in one Triton launch: each program decides some rows, and nothing is read back."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_dtype, check_matrix, check_vector
from ..multiples import multiple, multiple_of
from .codes import ENERGY, ENTROPY, MARGIN, per_surprise
from .reference import MARGINS, GateDecision

MOST_LABELS = 16384
"""Labels that a program holds at most."""
BY_MARGIN, BY_ENTROPY, BY_ENERGY = map(tl.constexpr, (MARGIN, ENTROPY, ENERGY))
HELD = 4096
"""Logits that a program holds, at least one row."""


@triton.jit(
    do_not_specialize=[
        *("stride", "temperature", "threshold", "by", "scope", "label", "confidence", "score"),
        *("accept", "energy", "inside", "rows", "labels"),
    ]
)
def gate_kernel(
    logits, stride, temperature, threshold, by, scope, margin, per_surprise, label, confidence,
    score, accept, energy, inside, rows, labels, MULTIPLE: tl.constexpr, ROWS: tl.constexpr,
    LABELS: tl.constexpr,
):  # fmt: skip
    """ROWS rows per program, LABELS columns of which the leading `labels` exist.

    MULTIPLE: of what the stride and `labels` are multiples.
    """
    stride = multiple(stride, MULTIPLE)
    labels = multiple(labels, MULTIPLE)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, LABELS)
    there = row < rows
    exists = there[:, None] & (column < labels)[None, :]
    at = logits + row.to(tl.int64)[:, None] * stride + column[None, :]
    z = tl.load(at, mask=exists, other=-float("inf")).to(tl.float32)
    z = z / tl.load(temperature + row, mask=there, other=1.0)[:, None]
    z = tl.where(there[:, None], z, 0.0)  # no NaN from rows that do not exist
    highest, best = tl.max(z, axis=1, return_indices=True, return_indices_tie_break_left=True)
    below = z - highest[:, None]
    odds = tl.exp(below)
    total = tl.sum(odds, axis=1)
    top = 1 / total
    runner_up = tl.max(tl.where(column[None, :] == best[:, None], 0.0, odds), axis=1)
    expected = tl.sum(odds * tl.where(column[None, :] < labels, below, 0.0), axis=1) / total
    surprise = tl.log(total) - expected
    e = highest + tl.log(total)
    known = 0.5 + 0.5 * e / (1 + tl.abs(e))
    which = tl.load(by + row, mask=there, other=0.0)
    held = tl.where(which == BY_MARGIN, 1 / (1 + runner_up), top)
    held = tl.where(which == BY_ENTROPY, tl.maximum(1 - surprise * per_surprise, 0.0), held)
    held = tl.where(which == BY_ENERGY, known, held)
    least = tl.load(scope + row, mask=there, other=0.0)
    within = (known >= least + margin) | (least <= 0)
    bound = tl.load(threshold + row, mask=there, other=0.0)
    tl.store(label + row, best.to(tl.int64), mask=there)
    tl.store(confidence + row, top, mask=there)
    tl.store(score + row, held, mask=there)
    tl.store(accept + row, ((held >= bound + margin) | (bound <= 0)) & within, mask=there)
    tl.store(energy + row, known, mask=there)
    tl.store(inside + row, within, mask=there)


def gate(
    logits: Tensor, temperature: Tensor, threshold: Tensor, by: Tensor, scope: Tensor
) -> GateDecision:
    """As `reference.gate`, for up to MOST_LABELS labels.

    Raises TypeError or ValueError before launch, naming the argument that does not fit.
    """
    check_dtype("logits", logits)
    check_matrix("logits", logits)
    rows, labels = logits.shape
    if not 1 <= labels <= MOST_LABELS:
        raise ValueError(f"logits: {labels} labels; there must be from 1 to {MOST_LABELS}")
    of_rows = {"temperature": temperature, "threshold": threshold, "by": by, "scope": scope}
    for name, vector in of_rows.items():
        if vector.dtype != torch.float32:
            raise TypeError(f"{name}: {vector.dtype}; it must be float32")
        check_vector(name, vector, rows)
        if vector.device != logits.device:
            raise ValueError(f"{name}: on {vector.device}, but logits is on {logits.device}")
    decision = GateDecision(
        label=logits.new_empty(rows, dtype=torch.int64),
        confidence=logits.new_empty(rows, dtype=torch.float32),
        score=logits.new_empty(rows, dtype=torch.float32),
        accept=logits.new_empty(rows, dtype=torch.bool),
        energy=logits.new_empty(rows, dtype=torch.float32),
        inside=logits.new_empty(rows, dtype=torch.bool),
    )
    if not rows:
        return decision
    shape = program(labels)
    stride = logits.stride(0)
    gate_kernel[(triton.cdiv(rows, shape["ROWS"]),)](
        logits, stride, temperature, threshold, by, scope, MARGINS[logits.dtype],
        per_surprise(labels), decision.label, decision.confidence, decision.score,
        decision.accept.view(torch.uint8), decision.energy, decision.inside.view(torch.uint8),
        rows, labels, multiple_of(stride, labels), **shape,
    )  # fmt: skip
    return decision


def program(labels: int) -> dict[str, int]:
    """The shape of one program, for so many labels: as a launch takes it."""
    held = triton.next_power_of_2(labels)
    return {
        "ROWS": max(1, min(16, HELD // held)),
        "LABELS": held,
        "num_warps": min(16, max(4, held // 1024)),
    }
