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
from ..heads import task_of
from ..nested.architecture import Architecture
from ..nested.batch import PackedBatch
from ..nested.shapes import head_weight
from ..nested.trunk import NestedTransformer
from .permutation import Order


def importance_order(
    model: NestedTransformer,
    teacher: Callable[[PackedBatch], Tensor],
    batches: Iterable[tuple[PackedBatch, Tensor]],
) -> Order:
    """Rank the units of a trained transformer.

    teacher: logits by these weights; the model itself, or a classifier on top of it.
    batches: packed texts for the full TA, and what is taught of them, as `label_loss` takes it.
    Raises NotFiniteError where scores say nothing.
    """
    a, task = model.architecture, task_of(model.architecture.head())
    dim = torch.zeros(a.dim)
    pooled = {head.name: torch.zeros(a.dim) for head in a.heads}
    heads = [torch.zeros(a.attention_heads) for _ in range(a.layers)]
    ffn = [torch.zeros(a.ffn) for _ in range(a.layers)]
    for batch, labels in batches:
        model.zero_grad()
        loss = task.label_loss(teacher(batch), labels.to(model.device))
        torch.autograd.backward(loss)
        effect = {
            model.stored_name(name): (p.detach() * p.grad).cpu()
            for name, p in model.named_parameters()
            if p.grad is not None
        }
        dim += _dimension_effect(effect, a).abs()
        for head in a.heads:
            classifier = effect.get(head_weight(head.name, "classifier.weight"))
            if classifier is not None:
                pooled[head.name] += classifier.sum(0).abs()
        for layer in range(a.layers):
            columns = effect[f"layers.{layer}.output.weight"].sum(0)
            heads[layer] += columns.view(a.attention_heads, a.head_dim).sum(1).abs()
            ffn[layer] += effect[f"layers.{layer}.down.weight"].sum(0).abs()
    model.zero_grad()
    for scores in (dim, *pooled.values(), *heads, *ffn):
        if not scores.isfinite().all():
            raise NotFiniteError("importance: the teacher's gradients are not finite")
    return Order(
        _descending(dim),
        {name: _descending(scores) for name, scores in pooled.items()},
        tuple(map(_descending, heads)),
        tuple(map(_descending, ffn)),
    )


def _dimension_effect(effect: dict[str, Tensor], a: Architecture) -> Tensor:
    """Effect of each model dimension, over all weights that read it: (dim,)."""
    total = (
        effect["tokens"].sum(0)
        + effect["positions"].sum(0)
        + effect["segment"].view(-1, a.dim).sum(0)
    )
    for layer in range(a.layers):
        for part in ("query", "key", "value", "up"):
            total = total + effect[f"layers.{layer}.{part}.weight"].sum(0)
    for head in a.heads:
        if (pooler := effect.get(head_weight(head.name, "pooler.weight"))) is not None:
            total = total + pooler.sum(0)
    return total


def _descending(scores: Tensor) -> Tensor:
    return scores.argsort(descending=True, stable=True)
