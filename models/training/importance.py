"""Which model dimensions, heads and neurons matter most, by first-order importance.

A unit's importance is the change in loss that its removal would cause, to first order
(Molchanov et al. 2019, arXiv 1906.10771, eq. 8, summed over a unit's weights before the absolute
value): mean over batches of |Σ w · ∂L/∂w|. Gradients are those of one batch at a time, taken on
training data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..errors import NotFiniteError
from ..nested.batch import PackedBatch
from ..nested.trunk import NestedTransformer, stored_name
from .losses import label_loss
from .permutation import Order


def importance_order(
    model: NestedTransformer,
    teacher: Callable[[PackedBatch], Tensor],
    batches: Iterable[tuple[PackedBatch, Tensor]],
) -> Order:
    """Rank the units of a trained transformer.

    teacher: logits by these weights; the model itself, or a classifier on top of it.
    batches: packed texts for the full TA, and their labels (sequences,) int64.
    Raises NotFiniteError where scores say nothing.
    """
    a = model.architecture
    dim, pooled = torch.zeros(a.dim), torch.zeros(a.dim)
    heads = [torch.zeros(a.heads) for _ in range(a.layers)]
    ffn = [torch.zeros(a.ffn) for _ in range(a.layers)]
    for batch, labels in batches:
        model.zero_grad()
        loss = label_loss(teacher(batch), labels.to(model.device))
        torch.autograd.backward(loss)
        effect = {
            stored_name(name): (p.detach() * p.grad).cpu()
            for name, p in model.named_parameters()
            if p.grad is not None
        }
        dim += _dimension_effect(effect, a.layers).abs()
        if "classifier.weight" in effect:
            pooled += effect["classifier.weight"].sum(0).abs()
        for layer in range(a.layers):
            columns = effect[f"layers.{layer}.output.weight"].sum(0)
            heads[layer] += columns.view(a.heads, a.head_dim).sum(1).abs()
            ffn[layer] += effect[f"layers.{layer}.down.weight"].sum(0).abs()
    model.zero_grad()
    for scores in (dim, pooled, *heads, *ffn):
        if not scores.isfinite().all():
            raise NotFiniteError("importance: the teacher's gradients are not finite")
    return Order(
        _descending(dim),
        _descending(pooled),
        tuple(map(_descending, heads)),
        tuple(map(_descending, ffn)),
    )


def _dimension_effect(effect: dict[str, Tensor], layers: int) -> Tensor:
    """Effect of each model dimension, over all weights that read it: (dim,)."""
    total = effect["tokens"].sum(0) + effect["positions"].sum(0) + effect["segment"]
    for layer in range(layers):
        for part in ("query", "key", "value", "up"):
            total = total + effect[f"layers.{layer}.{part}.weight"].sum(0)
    return total + effect["pooler.weight"].sum(0) if "pooler.weight" in effect else total


def _descending(scores: Tensor) -> Tensor:
    return scores.argsort(descending=True, stable=True)
