"""A student's graph in a file."""

from __future__ import annotations

from pathlib import Path

from ...errors import NestlingError
from ...nested.architecture import Architecture
from ...nested.spec import StudentSpec
from ...precision import Precision
from .extra import GRAPHS, require
from .weights import Weights

GRAPH_PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
"""In which a graph may compute."""


def check_precision(precision: str) -> None:
    """Raises NestlingError for one that no graph computes in."""
    if precision not in GRAPH_PRECISIONS:
        raise NestlingError(f"precision: {precision!r} is none of {', '.join(GRAPH_PRECISIONS)}")


def write_graph(
    architecture: Architecture,
    weights: Weights,
    spec: StudentSpec,
    path: Path,
    precision: Precision = "float32",
    temperature: float = 1.0,
    typed: bool = False,
) -> None:
    """Write a graph as `graph.build_graph` makes it. Weights beyond 2 GB go into a file beside it.

    Raises NestlingError if the package `onnx` is missing or the precision unknown.
    """
    require(*GRAPHS)
    check_precision(precision)
    import onnx

    from .graph import build_graph

    graph = build_graph(architecture, weights, spec, precision, temperature, typed)
    apart = graph.ByteSize() > onnx.checker.MAXIMUM_PROTOBUF
    onnx.save(graph, path, save_as_external_data=apart, location=f"{path.name}.data")
