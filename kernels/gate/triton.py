"""The same in one Triton launch, with nothing read back to the host.

Each program decides some rows. The last program to finish, which a counter tells, lists the rows
to escalate, in order, from the flags of all: no second launch, no order that depends on timing.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_dtype, check_matrix
from .reference import MARGINS, GateDecision

MOST_LABELS = 16384
"""Labels that a program holds at most."""
HELD = 4096
"""Logits that a program holds, at least one row."""


@triton.jit
def gate_kernel(
    logits, stride, temperature, threshold, margin,
    label, confidence, runner_up, entropy, accept, escalated, escalations, finished,
    rows, labels,
    ROWS: tl.constexpr, LABELS: tl.constexpr, SCAN: tl.constexpr,
):  # fmt: skip
    """ROWS rows per program. finished: one int32, 0 before and after.

    SCAN: flags that the last program lists per step.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, LABELS)
    there = row < rows
    inside = there[:, None] & (column < labels)[None, :]
    at = logits + row.to(tl.int64)[:, None] * stride + column[None, :]
    z = tl.load(at, mask=inside, other=-float("inf")).to(tl.float32)
    z = z / tl.load(temperature + row, mask=there, other=1.0)[:, None]
    z = tl.where(there[:, None], z, 0.0)  # no NaN from rows that do not exist
    highest, best = tl.max(z, axis=1, return_indices=True, return_indices_tie_break_left=True)
    shifted = z - highest[:, None]
    e = tl.exp(shifted)
    total = tl.sum(e, axis=1)
    top = 1 / total
    second = tl.max(tl.where(column[None, :] == best[:, None], 0.0, e), axis=1) / total
    # H = log Σ e − Σ e (z − z_max) / Σ e; a probability of 0 adds nothing
    mass = tl.sum(e * tl.where(e > 0, shifted, 0.0), axis=1)
    bound = tl.load(threshold + row, mask=there, other=0.0)
    accepted = (top >= bound + margin) | (bound <= 0)
    tl.store(label + row, best.to(tl.int64), mask=there)
    tl.store(confidence + row, top, mask=there)
    tl.store(runner_up + row, second, mask=there)
    tl.store(entropy + row, tl.log(total) - mass / total, mask=there)
    tl.store(accept + row, accepted, mask=there)

    tl.debug_barrier()  # the whole program's flags are written before it says so
    if tl.atomic_add(finished, 1, sem="acq_rel") == tl.num_programs(0) - 1:
        count = tl.zeros((), tl.int32)
        for start in range(0, rows, SCAN):
            index = start + tl.arange(0, SCAN)
            # Other programs wrote them: read from L2, where they are, not from this one's L1.
            flag = tl.load(accept + index, mask=index < rows, other=1, cache_modifier=".cg")
            waiting = (flag == 0).to(tl.int32)
            place = count + tl.cumsum(waiting) - waiting
            tl.store(escalated + place, index.to(tl.int64), mask=waiting > 0)
            count += tl.sum(waiting)
        for start in range(count // SCAN * SCAN, rows, SCAN):
            index = start + tl.arange(0, SCAN)
            none = tl.full((SCAN,), -1, tl.int64)
            tl.store(escalated + index, none, mask=(index >= count) & (index < rows))
        tl.store(escalations, count.to(tl.int64))
        tl.store(finished, 0)


class _Decided(NamedTuple):
    """As `reference.GateDecision` has them."""

    label: Tensor
    confidence: Tensor
    accept: Tensor
    runner_up: Tensor
    entropy: Tensor
    escalated: Tensor
    escalations: Tensor


def gate(logits: Tensor, temperature: Tensor, threshold: Tensor) -> GateDecision:
    """As `reference.gate`, for up to MOST_LABELS labels.

    Raises TypeError or ValueError before launch, naming the argument that does not fit.
    """
    check_dtype("logits", logits)
    check_matrix("logits", logits)
    rows, labels = logits.shape
    if not 1 <= labels <= MOST_LABELS:
        raise ValueError(f"logits: {labels} labels; there must be from 1 to {MOST_LABELS}")
    for name, vector in (("temperature", temperature), ("threshold", threshold)):
        if vector.dtype != torch.float32:
            raise TypeError(f"{name}: {vector.dtype}; it must be float32")
        if vector.shape != (rows,) or (rows > 1 and vector.stride(0) != 1):
            raise ValueError(f"{name}: {tuple(vector.shape)}; it must be {rows} adjacent numbers")
        if vector.device != logits.device:
            raise ValueError(f"{name}: on {vector.device}, but logits is on {logits.device}")
    decision = _Decided(
        label=logits.new_empty(rows, dtype=torch.int64),
        confidence=logits.new_empty(rows, dtype=torch.float32),
        runner_up=logits.new_empty(rows, dtype=torch.float32),
        entropy=logits.new_empty(rows, dtype=torch.float32),
        accept=logits.new_empty(rows, dtype=torch.bool),
        escalated=logits.new_empty(rows, dtype=torch.int64),
        escalations=logits.new_empty((), dtype=torch.int64),
    )
    if not rows:
        decision.escalations.zero_()
        return decision
    shape = program(labels)
    gate_kernel[(triton.cdiv(rows, shape["ROWS"]),)](
        logits, logits.stride(0), temperature, threshold, MARGINS[logits.dtype],
        decision.label, decision.confidence, decision.runner_up, decision.entropy,
        decision.accept.view(torch.uint8), decision.escalated, decision.escalations,
        _finished(logits.device), rows, labels,
        **shape,
    )  # fmt: skip
    return decision


def program(labels: int) -> dict[str, int]:
    """The shape of one program, for so many labels: as a launch takes it."""
    held = triton.next_power_of_2(labels)
    return {
        "ROWS": max(1, min(16, HELD // held)),
        "LABELS": held,
        "SCAN": 1024,
        "num_warps": min(16, max(4, held // 1024)),
    }


def _finished(device: torch.device) -> Tensor:
    """The counter of programs that are done: one int32, 0.

    Launches of one stream follow each other and share one. A graph being captured gets its own,
    zeroed by every replay: it may be replayed on any stream.
    """
    if device.type != "cuda":
        return _counter(device, 0)
    if torch.cuda.is_current_stream_capturing():
        return torch.zeros(1, dtype=torch.int32, device=device)
    return _counter(device, torch.cuda.current_stream(device).cuda_stream)


@cache
def _counter(device: torch.device, stream: int) -> Tensor:
    return torch.zeros(1, dtype=torch.int32, device=device)
