"""Products with weights in 8-bit integers, each row by a scale of its own.

For a row x (inputs,) and a matrix W (inputs, outputs), with one scale a per row and one b per
output,

    a = max|x| / 127    q = round(x / a) + 128         uint8, found anew for each row
    b = max|W| / 64     R = round(W / b)               int8, stored: seven of its bits
    x · W  ≈  a b · Σ (q − 128) R

Processors without VNNI add two products in 16 bits, and what is beyond them is cut off: 2 · 255 ·
127 = 64,770 is, 2 · 255 · 64 = 32,640 is not. So Σ is exact on all of them, and the same.

ONNX Runtime's own dynamic quantisation has one scale for a whole batch, padding included: there a
text's confidence moves by up to 0.2 with its neighbours. Here it depends on them only as in
float32, by the order of sums; rarely that moves a number across a boundary of `round`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ...precision import WEIGHT_LEVELS

LEVELS, CENTRE = 127, 128
LEAST = 1e-20
"""Of a maximum: what is all zeros has a scale too."""
_CONSTANTS: dict[str, NDArray[Any]] = {
    "levels": np.array(LEVELS, np.float32),
    "centre": np.array(CENTRE, np.uint8),
    "round_up": np.array(CENTRE + 0.5, np.float32),  # the cast to integers cuts off what is beyond
    "last_axis": np.array([-1], np.int64),
    "least": np.array(LEAST, np.float32),
}


def quantize(model: onnx.ModelProto) -> None:
    """Replace, in place, every product with a constant matrix.

    A stack of matrices, as the last layer's keys and values are, stays in float32: those products
    are small, and run once per text.
    """
    graph = model.graph
    weights = {t.name: t for t in graph.initializer if len(t.dims) == 2}
    nodes: list[NodeProto] = []
    rounded: dict[str, TensorProto] = {}
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            nodes.append(node)
            continue
        x, name = node.input
        integers, scale = _round(numpy_helper.to_array(weights[name]))
        rounded[f"{name}.int8"] = numpy_helper.from_array(integers, f"{name}.int8")
        rounded[f"{name}.scale"] = numpy_helper.from_array(scale, f"{name}.scale")
        nodes += _product(node.name, x, name, node.output[0])
    rounded |= {k: numpy_helper.from_array(v, k) for k, v in _CONSTANTS.items()}
    read = {name for node in nodes for name in node.input}
    kept = [t for t in (*graph.initializer, *rounded.values()) if t.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


def _round(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """weight: (inputs, outputs). Returns the same in int8, and (outputs,) scales."""
    largest = np.maximum(np.abs(weight).max(axis=0), np.float32(LEAST))
    scale = (largest / WEIGHT_LEVELS).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def _product(name: str, x: str, weight: str, y: str) -> Iterator[NodeProto]:
    """The nodes of y = x · weight; `name` begins the names of what is between."""

    def node(operation: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(operation, inputs, [output], output, **attributes)

    def own(suffix: str) -> str:
        return f"{name}.{suffix}"

    yield node("Abs", [x], own("size"))
    yield node("ReduceMax", [own("size"), "last_axis"], own("largest"), keepdims=1)
    yield node("Max", [own("largest"), "least"], own("range"))
    yield node("Div", ["levels", own("range")], own("steps"))
    yield node("Mul", [x, own("steps")], own("in_steps"))
    yield node("Add", [own("in_steps"), "round_up"], own("positive"))
    yield node("Cast", [own("positive")], own("rows"), to=TensorProto.UINT8)
    yield node("MatMulInteger", [own("rows"), f"{weight}.int8", "centre"], own("sums"))
    yield node("Cast", [own("sums")], own("sums_float"), to=TensorProto.FLOAT)
    yield node("Mul", [own("sums_float"), f"{weight}.scale"], own("by_output"))
    yield node("Div", [own("by_output"), own("steps")], y)
