"""One student as an ONNX graph in a file, in float32 or with weights in int8."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ...errors import NestlingError
from ...nested.spec import StudentSpec
from ...nested.trunk import NestedTransformer
from ...precision import Precision
from .extra import EXPORTER, require
from .student import PaddedStudent

GRAPH_PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
"""In which a graph may compute."""
OPSET = 20
"""The first with GELU as one operation."""
INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
TYPED_INPUTS = (*INPUTS, "token_type_ids")
TOKENS = "embedding.tokens"
"""What the table of token embeddings is called inside a graph."""


def check_precision(precision: str) -> None:
    """Raises NestlingError for one that no graph computes in."""
    if precision not in GRAPH_PRECISIONS:
        raise NestlingError(f"precision: {precision!r} is none of {', '.join(GRAPH_PRECISIONS)}")


def write_graph(
    model: NestedTransformer,
    spec: StudentSpec,
    path: Path,
    precision: Precision = "float32",
    temperature: float = 1.0,
    typed: bool = False,
) -> None:
    """Write a student's graph. float32 weights beyond 2 GB go into a second file beside it.

    Inputs `input_ids` and `attention_mask`: (batch, length) int64, both axes of any size, length
    up to the TA's longest input. Output `logits`: (batch, labels) float32.
    precision: `float32`, or `int8`: products with weights in 8-bit integers (`quantize`).
    temperature: by which the logits are divided. typed: with a third input `token_type_ids`, as
    the others, all 0.
    Raises NestlingError if a package is missing or the precision unknown.
    """
    require(*EXPORTER)
    check_precision(precision)
    student = PaddedStudent(model, spec, temperature, typed).eval()
    inputs = TYPED_INPUTS if typed else INPUTS
    axes = {
        0: torch.export.Dim("batch"),
        1: torch.export.Dim("length", max=model.architecture.max_tokens),
    }
    shape = (2, min(3, model.architecture.max_tokens))
    examples = [torch.ones(shape, dtype=torch.int64) for _ in INPUTS]
    if typed:
        examples.append(torch.zeros(shape, dtype=torch.int64))
    with _quiet():
        program = torch.onnx.export(
            student,
            tuple(examples),
            dynamo=True,
            input_names=inputs,
            output_names=(OUTPUT,),
            dynamic_shapes=tuple(axes for _ in inputs),
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    if precision == "float32":
        program.save(path)
        return
    import onnx

    from .quantize import quantize

    graph = program.model_proto
    quantize(graph)
    onnx.save(graph, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own insides (torchvision is absent, an axis has one name twice)."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
