"""The gate of `kernels.gate`, where a row's answer is the set of all labels that hold.

With x = z / T, and each label on its own holding with probability σ(x), the answer is the labels
with z ≥ 0, whatever T, and with a = |x| the score is

    PROBABILITY:  Π σ(a), that exactly this set is right;
    MARGIN:       σ(min a), against the set that differs in the least sure label alone, as if these
                  two were all;
    ENTROPY:      1 − Σ H(σ(a)) / (K log 2), with H(p) = −p log p − (1 − p) log (1 − p);
    ENERGY:       (1 + e / (1 + e)) / 2, with e = Σ log(1 + exp(x)): the joint energy of Wang et
                  al. (2021, arXiv 2109.14162) over T.

Logits that are each off by ε move the first by at most Π σ(a) Σ σ(−a) ε / T, which is below
0.4 ε / T for any number of labels; the second by ε / 4T; the third by 0.33 ε / T; and the last by
ε / 8T: as σ(x) ≤ log(1 + exp(x)), e moves by at most e ε / T, and the score so by at most
e / 2(1 + e)² · ε / T.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from ..gate.reference import MARGINS, GateDecision, Scores, decided


def set_gate(
    logits: Tensor,
    codes: Tensor,
    temperature: Tensor,
    threshold: Tensor,
    by: Tensor,
    scope: Tensor,
) -> GateDecision:
    """Decide each row on its own; the columns of the decision are those of `kernels.gate`.

    codes: (labels,) int64, a number for each label; a row's answer is the sum of those that hold.
    The other arguments are those of `kernels.gate`.
    """
    found = set_scores(logits.float(), codes, temperature)
    return decided(found, MARGINS[logits.dtype], threshold, by, scope)


def set_scores(logits: Tensor, codes: Tensor, temperature: Tensor) -> Scores:
    """logits: (rows, labels). temperature: (rows,) of the same dtype."""
    x = logits / temperature[:, None]
    sure = x.abs()
    label = (codes * (logits >= 0)).sum(dim=-1)
    probability = F.logsigmoid(sure).sum(dim=-1).exp()
    surprise = F.softplus(-sure) + sure * torch.sigmoid(-sure)
    entropy = (1 - surprise.mean(dim=-1) / log(2)).clamp(min=0)
    e = F.softplus(x).sum(dim=-1)
    energy = 0.5 + 0.5 * e / (1 + e)
    return Scores(label, probability, torch.sigmoid(sure.amin(dim=-1)), entropy, energy)
