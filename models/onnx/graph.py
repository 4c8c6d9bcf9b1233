"""One student as an ONNX graph in a file, in float32 or with weights in int8."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..errors import NestlingError
from ..spec import StudentSpec
from ..transformer import NestedTransformer
from .extra import EXPORTER, RUNTIME, require
from .student import PaddedStudent

PRECISIONS = ("float32", "int8")
OPSET = 20
"""The first with GELU as one operation."""
INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
TOKENS = "tokens"
"""What the table of token embeddings is called inside a graph."""


def write_graph(
    model: NestedTransformer, spec: StudentSpec, path: Path, precision: str = "float32"
) -> None:
    """Write a student's graph. float32 weights beyond 2 GB go into a second file beside it.

    Inputs `input_ids` and `attention_mask`: (batch, length) int64, both axes of any size, length
    up to the TA's longest input. Output `logits`: (batch, labels) float32.
    precision: `float32`, or `int8`: products with weights are computed in 8-bit integers, the
    weights rounded per output, the rows that meet them on the fly and by one scale for the whole
    batch, so that in int8 a text's logits depend a little on its neighbours.
    Raises NestlingError if a package is missing or the precision unknown.
    """
    require(*EXPORTER)
    if precision not in PRECISIONS:
        raise NestlingError(f"precision: {precision!r} is none of {', '.join(PRECISIONS)}")
    if precision == "int8":
        require(*RUNTIME)  # which brings the quantizer
    student = PaddedStudent(model, spec).eval()
    axes = {
        0: torch.export.Dim("batch"),
        1: torch.export.Dim("length", max=model.architecture.max_tokens),
    }
    example = torch.ones(2, min(3, model.architecture.max_tokens), dtype=torch.int64)
    examples = (example, example.clone())  # one tensor given twice would be one input
    with _quiet():
        program = torch.onnx.export(
            student,
            examples,
            dynamo=True,
            input_names=INPUTS,
            output_names=(OUTPUT,),
            dynamic_shapes=(axes, axes),
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    if precision == "float32":
        program.save(path)
        return
    exact = path.with_name(f"{path.name}.float32")
    try:
        program.save(exact)
        _quantize(exact, path)
    finally:
        for file in path.parent.glob(f"{exact.name}*"):
            file.unlink()


def _quantize(source: Path, target: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(source).graph
    # ONNX Runtime has no per-output scales for a stack of matrices, which the last layer's keys
    # and values are, one per head. Those products are small: they run once per text.
    stacks = {weight.name for weight in graph.initializer if len(weight.dims) > 2}
    exact = [node.name for node in graph.node if stacks.intersection(node.input)]
    with _quiet():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=exact,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Both tools warn of their own insides (torchvision is absent, an axis has one name twice)."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
