"""What a batch makes a machine do for a student: the numbers by which its time is explained."""

from __future__ import annotations

from typing import NamedTuple

from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec


class BatchWork(NamedTuple):
    """Of `texts` texts of `tokens` tokens each, which one student answers.

    batch: 1, whatever a batch costs in any case. layers: that have a row per token; their launches.
    weights: numbers of matrices that are read once. attention_flops, ffn_flops: of the products of
    these layers. pair_flops: of scores and weighted sums. last_flops: of the last layer, the pooler
    and the classifier, which read one row of a text; pooled: numbers that the last layer reads of
    every token. rows: numbers that norms, residual adds and the embedding go through; neurons:
    that the activation does. texts: a row each.
    """

    batch: float
    layers: float
    weights: float
    attention_flops: float
    ffn_flops: float
    pair_flops: float
    last_flops: float
    pooled: float
    rows: float
    neurons: float
    texts: float

    @classmethod
    def of(cls, spec: StudentSpec, a: Architecture, texts: int, tokens: int) -> BatchWork:
        """As `StudentSpec.flops` counts it, but for each kind of work apart."""
        d, rows, inner = spec.dim, texts * tokens, len(spec.layers) - 1
        widths = [heads * a.head_dim for heads in spec.attention_heads]
        return cls(
            batch=1.0,
            layers=inner,
            weights=sum(4 * d * w + 2 * d * f for w, f in zip(widths, spec.ffn, strict=True)),
            attention_flops=8.0 * d * sum(widths[:-1]) * rows,
            ffn_flops=4.0 * d * sum(spec.ffn[:-1]) * rows,
            pair_flops=4.0 * sum(widths[:-1]) * rows * tokens,
            last_flops=texts
            * (
                8.0 * d * widths[-1] + 4.0 * d * spec.ffn[-1] + 2.0 * d * (d + len(a.head().labels))
            ),
            pooled=2.0 * d * spec.attention_heads[-1] * rows,
            rows=d * rows * (1 + 2 * inner),
            neurons=float(sum(spec.ffn[:-1]) * rows),
            texts=texts,
        )
