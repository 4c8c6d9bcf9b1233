"""The gate against the reference, in float64 on the CPU."""

from __future__ import annotations

from functools import partial

import torch

from nestling.kernels.gate.reference import MARGIN, MARGINS

from ..devices import Random, operations_on
from ..record import Named, Row
from .check import NAN, check, dtypes

BOUND = 3e-6
"""Of a confidence or another score, which is computed in float32."""


def checks(device: torch.device) -> list[Named]:
    return [
        (f"gate {dtype} {rows} × {labels}", partial(decided, device, dtype, rows, labels))
        for dtype in dtypes()
        for rows, labels in ((1, 1), (5000, 150), (33, 2), (70, 1000), (3, 4097))
    ]


def decided(device: torch.device, dtype: torch.dtype, rows: int, labels: int) -> Row:
    """Logits with a poisoned margin. Acceptance is compared for rows whose score is not within
    the bound of the threshold: there rounding decides, on one side as on the other.
    """
    random = Random(device)
    logits = random.normal(rows, labels + 3, dtype=dtype)
    logits[:, labels:] = NAN
    logits = logits[:, :labels]
    temperature, threshold = random.uniform(rows) + 0.5, random.uniform(rows) * 0.1
    threshold[::7] = 0.0
    by = (random.uniform(rows) > 0.5).float() * MARGIN
    decision = operations_on(device).gate(logits, temperature, threshold, by)
    label, confidence, score, accept = (column.cpu() for column in decision)
    scores = logits.cpu().double() / temperature.cpu().double()[:, None]
    probability = torch.softmax(scores, dim=-1)
    exact = probability.max(dim=-1).values
    two = torch.softmax(scores.topk(min(2, labels)).values, dim=-1)[:, 0]
    held = torch.where(by.cpu() == MARGIN, two, exact)
    off = max(
        (of.double() - right).abs().max().item()
        for of, right in ((confidence, exact), (score, held))
    )
    there = label.clamp(0, labels - 1)
    chosen = probability.gather(1, there[:, None])[:, 0].where(there == label, -1.0)
    worse = (exact - chosen).max().item()  # a label of the same score is as right
    bound = threshold.cpu().double() + MARGINS[dtype]
    expected = (held >= bound) | (threshold.cpu() <= 0)
    clear = (held - bound).abs() > BOUND
    wrong = int(((accept != expected) & clear).sum())
    found = check("gate", dtype, (rows, labels), max(off, worse), BOUND)
    found |= {"accepted_wrongly": wrong, "rows_within_the_margin": int((~clear).sum())}
    found["passed"] = found["passed"] and wrong == 0
    return found
