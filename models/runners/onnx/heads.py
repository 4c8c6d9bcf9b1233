"""From the first tokens' rows to logits, as `models/nested/heads.py` has them."""

from __future__ import annotations

import numpy as np

from ...nested.architecture import Architecture
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
    dim, labels, scale = spec.dim, len(a.labels), np.float32(1 / temperature)
    weight = matrix(weights, "pooler.weight", dim, dim)
    pooled = products.multiply(x, weight, "pooler.weight")
    bias = to.constant("pooler.bias", vector(weights, "pooler.bias", dim))
    pooled = to.add("Tanh", [to.add("Add", [pooled, bias], "pooler")], POOLED)
    weight = matrix(weights, "classifier.weight", labels, dim) * scale
    product = products.multiply(pooled, weight, "classifier.weight")
    bias = to.constant("classifier.bias", vector(weights, "classifier.bias", labels) * scale)
    return to.add("Add", [product, bias], output)
