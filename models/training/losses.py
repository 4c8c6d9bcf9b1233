"""The losses of the MatTA recipe beside those of a head's task, as functions of tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def relation_loss(student: Tensor, teacher: Tensor, mask: Tensor, relation_heads: int) -> Tensor:
    """MiniLMv2's self-attention relation loss (Wang et al. 2020, arXiv 2012.15828, eq. 3 to 5).

    R = softmax(X Xᵀ / √d_r) after splitting X into relation heads of width d_r;
    the loss is the mean over heads and rows of KL(R_teacher ‖ R_student).

    student, teacher: queries, keys or values, (sequences, longest, width), each width a multiple
    of `relation_heads`; the widths may differ. mask: (sequences, longest) bool, True where a row
    is. Computed in float32; no gradient reaches the teacher.
    """
    log_student = _relations(student, mask, relation_heads)
    log_teacher = _relations(teacher.detach(), mask, relation_heads)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(-1)
    return divergence.transpose(1, 2)[mask].mean()


def _relations(x: Tensor, mask: Tensor, heads: int) -> Tensor:
    split = x.float().reshape(*x.shape[:2], heads, -1).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) * split.shape[-1] ** -0.5
    hidden = torch.finfo(scores.dtype).min  # finite, so that 0 · (log 0 − log 0) stays 0
    return F.log_softmax(scores.masked_fill(~mask[:, None, None, :], hidden), dim=-1)


def ramp(step: int, length: int) -> float:
    """Weight of a loss that sets in slowly: 0 at step 0, 1 from `length` on (MatTA, §3)."""
    return min(1.0, step / length) if length else 1.0
