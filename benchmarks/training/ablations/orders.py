"""Other orders of the TA's parts than the recipe's: Fisher's, by magnitude, none.

A part's importance is the sum over the weights that read it, as in the recipe's order
(`models/training/importance.py`); what is summed differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from nestling.models.heads import task_of
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.shapes import head_weight
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.training.importance import importance_order
from nestling.models.training.permutation import Order

OrderName = Literal["first-order", "fisher", "magnitude", "none"]
Teacher = Callable[[PackedBatch], Tensor]
Batches = Iterable[tuple[PackedBatch, Tensor]]


def order_of(
    name: OrderName, model: NestedTransformer, teacher: Teacher, batches: Batches
) -> Order | None:
    """What the parts are ranked by; None leaves them as they are.

    first-order: |Σ w · ∂L/∂w| per part, the recipe's. fisher: Σ (w · ∂L/∂w)² with the gradient of
    a batch, mean over batches: the Fisher information (FWSVD, Hsu et al. 2022, arXiv 2207.00112)
    of what each weight is multiplied by. magnitude: Σ w². teacher: logits by the model's weights.
    """
    if name == "none":
        return None
    if name == "first-order":
        return importance_order(model, teacher, batches)
    effect: dict[str, Tensor] = {}
    task = task_of(model.architecture.head())
    for batch, labels in batches:
        model.zero_grad()
        torch.autograd.backward(task.label_loss(teacher(batch), labels.to(model.device)))
        for weight_name, p in model.named_parameters():
            if p.grad is None:  # no part of what the teacher computes
                continue
            seen = p.detach() * p.grad if name == "fisher" else p.detach()
            stored = model.stored_name(weight_name)
            effect[stored] = effect.get(stored, 0.0) + seen.square().cpu()
    model.zero_grad()
    return ranked(effect, model.architecture)


def ranked(effect: dict[str, Tensor], a: Architecture) -> Order:
    """From each weight's importance, by its stored name, to each part's rank."""
    dim = (
        effect["tokens"].sum(0)
        + effect["positions"].sum(0)
        + effect["segment"].view(-1, a.dim).sum(0)
    )
    heads, ffn = [], []
    for layer in range(a.layers):
        for part in ("query", "key", "value", "up"):
            dim = dim + effect[f"layers.{layer}.{part}.weight"].sum(0)
        columns = effect[f"layers.{layer}.output.weight"].sum(0)
        heads.append(_descending(columns.view(a.attention_heads, a.head_dim).sum(1)))
        ffn.append(_descending(effect[f"layers.{layer}.down.weight"].sum(0)))
    of = partial(head_weight, a.head().name)
    pooled = torch.zeros(a.dim)
    if of("classifier.weight") in effect:
        dim = dim + effect[of("pooler.weight")].sum(0)
        pooled = effect[of("classifier.weight")].sum(0)
    ranks = {a.head().name: _descending(pooled)}
    return Order(_descending(dim), ranks, tuple(heads), tuple(ffn))


def _descending(scores: Tensor) -> Tensor:
    return scores.argsort(descending=True, stable=True)
