"""The gate against the reference, in float64 on the CPU."""

from __future__ import annotations

from functools import partial

import torch

from nestling.kernels.gate.reference import MARGINS, scores

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
    by = (4 * random.uniform(rows)).floor().clamp(max=3)
    scope = random.uniform(rows)
    scope[::2] = 0.0
    decision = operations_on(device).gate(logits, temperature, threshold, by, scope)
    label, confidence, score, accept, energy, inside = (column.cpu() for column in decision)
    right = scores(logits.cpu().double(), temperature.cpu().double())
    exact = right.probability
    held = torch.stack(right[1:])[by.cpu().long(), torch.arange(rows)]
    off = max(
        (of.double() - wanted).abs().max().item()
        for of, wanted in ((confidence, exact), (score, held), (energy, right.energy))
    )
    scaled = logits.cpu().double() / temperature.cpu().double()[:, None]
    probability = torch.softmax(scaled, dim=-1)
    there = label.clamp(0, labels - 1)
    chosen = probability.gather(1, there[:, None])[:, 0].where(there == label, -1.0)
    worse = (exact - chosen).max().item()  # a label of the same score is as right
    bound = threshold.cpu().double() + MARGINS[dtype]
    least = scope.cpu().double() + MARGINS[dtype]
    within = (right.energy >= least) | (scope.cpu() <= 0)
    expected = ((held >= bound) | (threshold.cpu() <= 0)) & within
    clear = ((held - bound).abs() > BOUND) & ((right.energy - least).abs() > BOUND)
    wrong = int((((accept != expected) | (inside != within)) & clear).sum())
    found = check("gate", dtype, (rows, labels), max(off, worse), BOUND)
    found |= {"accepted_wrongly": wrong, "rows_within_the_margin": int((~clear).sum())}
    found["passed"] = found["passed"] and wrong == 0
    return found
