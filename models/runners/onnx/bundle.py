"""All students of a checkpoint as graphs in one folder, for the runner here.

Their weights lie in files beside them, which ONNX Runtime maps: what it computes with as it lies
there, such as the table of token embeddings, most of a small model, is one copy for all students of
a width and for all processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from onnx import TensorProto, helper
from onnx.external_data_helper import set_external_data

from ...checkpoint.integrity import verify
from ...checkpoint.manifest import WEIGHTS, Manifest
from ...checkpoint.weights import read_weights
from ...precision import Precision
from .graph import build_graph
from .names import POOLED, TOKENS, graph_file

LARGE = 4096
"""Bytes from which a constant lies beside its graph; and of what its place there is a multiple, as
a page of memory is."""


def write_graphs(manifest: Manifest, precision: Precision, folder: Path) -> None:
    """Write `graph_file` of each student, and the files that these refer to.

    Those in float32 have the pooled hidden state as a second output, (batch, dim).
    Raises CheckpointError as `read_weights` does.
    """
    weights = read_weights(manifest)
    for student in manifest.students.values():
        dim = student.spec.dim
        model = build_graph(manifest.architecture, weights, student.spec, precision)
        if precision == "float32":
            pooled = helper.make_tensor_value_info(POOLED, TensorProto.FLOAT, ["batch", dim])
            model.graph.output.append(pooled)
        constants = model.graph.initializer
        large = [c for c in constants if len(c.raw_data) >= LARGE and c.name != TOKENS]
        _put(large, folder / f"{student.name}.bin")
        _put([c for c in constants if c.name == TOKENS], folder / f"{dim}.tokens")
        (folder / graph_file(student.name)).write_bytes(model.SerializeToString())
    # What is kept under the weights' hash is of these weights, even if they are replaced meanwhile.
    verify(manifest.path / WEIGHTS, manifest.weights_sha256)


def _put(constants: Iterable[TensorProto], file: Path) -> None:
    """Have constants lie in a file, which replaces one of the same content."""
    with file.open("wb") as opened:
        for constant in constants:
            place = opened.seek(-(-opened.tell() // LARGE) * LARGE)
            opened.write(constant.raw_data)
            set_external_data(constant, file.name, place, len(constant.raw_data))
            constant.ClearField("raw_data")
