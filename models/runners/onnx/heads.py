"""From the first tokens' rows to logits, as `models/nested/heads.py` has them."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...nested.architecture import Architecture
from ...nested.shapes import head_weight
from ...nested.spec import StudentSpec
from .assembly import Assembly
from .names import POOLED
from .products import Products
from .weights import Weights, matrix, vector


def classify(
    to: Assembly,
    products: Products,
    weights: Weights,
    a: Architecture,
    spec: StudentSpec,
    x: str,
    temperature: float,
    output: str,
) -> str:
    """Pooler and classifier. x: (batch, dim). Returns (batch, labels), called `output`.

    temperature: by which the logits are divided.
    """
    head, dim, scale = a.head(), spec.dim, np.float32(1 / temperature)
    labels, of = len(head.labels), partial(head_weight, head.name)
    weight = matrix(weights, of("pooler.weight"), dim, dim)
    pooled = products.multiply(x, weight, of("pooler.weight"))
    bias = to.constant(of("pooler.bias"), vector(weights, of("pooler.bias"), dim))
    pooled = to.add("Tanh", [to.add("Add", [pooled, bias], of("pooler"))], POOLED)
    weight = matrix(weights, of("classifier.weight"), labels, dim) * scale
    product = products.multiply(pooled, weight, of("classifier.weight"))
    bias = to.constant(
        of("classifier.bias"), vector(weights, of("classifier.bias"), labels) * scale
    )
    return to.add("Add", [product, bias], output)
