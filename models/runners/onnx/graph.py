"""One student as an ONNX graph, in float32 or with weights in int8.

It is assembled from the same parts as `models/nested/trunk.py`, in the same order and with the same
arithmetic, but without groups: the widths are those of the weights. Each weight is a copy of the
student's slice, so that a graph holds nothing that is computed from weights alone.

Padding goes no further than the attention, where sequences have to be told apart: everything else
runs on the tokens end to end. Texts of real traffic are padded to about twice their tokens.
"""

from __future__ import annotations

from onnx import ModelProto, TensorProto, helper

from ...nested.architecture import Architecture
from ...nested.spec import StudentSpec
from ...precision import Precision
from .assembly import Assembly
from .block import Block
from .embedding import embed
from .heads import classify
from .names import INPUTS, OUTPUT, TYPED_INPUTS
from .packing import Packing
from .products import products
from .weights import Weights


def build_graph(
    architecture: Architecture,
    weights: Weights,
    spec: StudentSpec,
    precision: Precision = "float32",
    temperature: float = 1.0,
    typed: bool = False,
) -> ModelProto:
    """A student's graph, for ONNX Runtime.

    Inputs `input_ids` and `attention_mask`: (batch, length) int64, both axes of any size, length
    up to the TA's longest input. The mask is 1 on tokens and 0 on padding, whose ids may be any in
    the vocabulary. Output `logits`: (batch, labels) float32.
    weights: of the TA, by their names in `model.safetensors`. precision: `float32`, or `int8`:
    products with weights in 8-bit integers (`quantize`). temperature: by which the logits are
    divided. typed: with a third input `token_type_ids`, as the others, all 0
    where there is one type.
    Raises ValueError for a student that does not fit in the TA.
    """
    a = architecture
    spec.validate(a)
    to = Assembly()
    by = products(to, precision)
    ids, mask, types = TYPED_INPUTS
    packing = Packing(to, mask)
    x = embed(to, weights, a, spec, ids, packing, types if typed else None)
    for layer, heads, ffn in zip(spec.layers, spec.attention_heads, spec.ffn, strict=True):
        block = Block(to, by, weights, a, packing, layer, spec.dim, heads, ffn)
        x = block.last(x) if layer == spec.layers[-1] else block.whole(x)
    classify(to, by, weights, a, spec, x, temperature, OUTPUT)
    names = TYPED_INPUTS if typed else INPUTS
    shape: list[str | int | None] = ["batch", "length"]
    answer: list[str | int | None] = ["batch", len(a.head().labels)]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in names]
    return to.model(inputs, [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, answer)])
