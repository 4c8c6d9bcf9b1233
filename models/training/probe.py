"""The TA's classifier begins where the teacher ends: it learns the teacher's soft targets alone.

A classifier that starts from nothing distorts the encoder under it before it has learnt anything
(Kumar et al. 2022, arXiv 2202.10054: probe first, then fine-tune). The rows that it reads do not
change while it learns, so each text goes through the encoder once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...kernels.layout import Groups
from ..heads import task_of
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from ..progress import SILENT, Progress
from .examples import logits_of, turn

TEXTS = 8_000
"""At most: a classifier has few weights."""
STEPS = 400
BATCH = 256
RATE = 1e-3


def probe(
    model: NestedTransformer,
    sequences: Sequence[list[int]],
    targets: Tensor,
    temperature: float,
    seed: int,
    progress: Progress = SILENT,
) -> None:
    """Train the head of a TA on token ids and the teacher's logits on them, (texts, labels).

    Raises NotFiniteError for rows that are not finite.
    """
    chosen = np.random.default_rng(seed).permutation(len(sequences))[:TEXTS]
    texts, targets = [sequences[i] for i in chosen], targets[chosen].to(model.device)
    full = StudentSpec.full(model.architecture)

    def read(batch: PackedBatch) -> Tensor:
        return model.encode(batch)[0]

    rows = logits_of(read, full, texts, "ta", progress, "what the TA's classifier reads")
    rows = rows.to(model.device)
    head, task = model.head().prefix(model.architecture.dim), task_of(model.architecture.head())
    optimizer = torch.optim.AdamW(model.head().parameters(), lr=RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (STEPS - step) / STEPS
        i = turn(step, BATCH, len(texts), seed)
        logits = model.head()(rows[i], [head], Groups([0, len(i)]), 0.0)
        loss = task.distillation_loss(logits, targets[i], temperature)
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
