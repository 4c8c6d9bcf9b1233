"""Students as ONNX graphs: padded token ids in, logits out, for any runtime that reads ONNX.

Unlike everywhere else in Nestling, a graph holds a copy of its student's slice of the weights: a
file of its own, and in ONNX Runtime memory of its own. Needs the extra `onnx`.
"""

from .cache import graph_of
from .directory import export_onnx
from .extra import require
from .write import write_graph

__all__ = ["export_onnx", "graph_of", "require", "write_graph"]
