"""The gate of sets of labels against the reference, in float64 on the CPU."""

from __future__ import annotations

from functools import partial

import torch

from nestling.kernels.gate.reference import MARGINS
from nestling.kernels.set_gate.reference import set_scores

from ..devices import Random, operations_on
from ..record import Named, Row
from .check import NAN, check, dtypes
from .gate import BOUND


def checks(device: torch.device) -> list[Named]:
    return [
        (f"set gate {dtype} {rows} × {labels}", partial(decided, device, dtype, rows, labels))
        for dtype in dtypes()
        for rows, labels in ((1, 1), (5000, 28), (33, 62))
    ]


def decided(device: torch.device, dtype: torch.dtype, rows: int, labels: int) -> Row:
    """Logits with a poisoned margin. Acceptance is compared for rows whose score is not within
    the bound of the threshold: there rounding decides, on one side as on the other.
    """
    random = Random(device)
    logits = random.normal(rows, labels + 3, dtype=dtype)
    logits[:, labels:] = NAN
    logits = 4 * logits[:, :labels]
    codes = torch.tensor([1 << i for i in range(labels)])
    temperature, threshold = random.uniform(rows) + 0.5, random.uniform(rows) * 0.9
    threshold[::7] = 0.0
    by, scope = (4 * random.uniform(rows)).floor().clamp(max=3), torch.zeros_like(temperature)
    gate = operations_on(device).set_gate
    found = gate(logits, codes.to(device), temperature, threshold, by, scope)
    label, confidence, score, accept, energy, _ = (column.cpu() for column in found)
    right = set_scores(logits.cpu().double(), codes, temperature.cpu().double())
    held = torch.stack(right[1:])[by.cpu().long(), torch.arange(rows)]
    off = max(
        (of.double() - wanted).abs().max().item()
        for of, wanted in (
            (confidence, right.probability), (score, held), (energy, right.energy),
        )
    )  # fmt: skip
    bound = threshold.cpu().double() + MARGINS[dtype]
    clear = (held - bound).abs() > BOUND
    expected = (held >= bound) | (threshold.cpu() <= 0)
    wrong = int(((label != right.label) | ((accept != expected) & clear)).sum())
    row = check("set gate", dtype, (rows, labels), off, BOUND)
    row |= {"decided_wrongly": wrong, "rows_within_the_margin": int((~clear).sum())}
    row["passed"] = row["passed"] and wrong == 0
    return row
