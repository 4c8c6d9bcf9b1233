"""A graph while it is put together: its operations, and the constants that they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET, IR = 23, 10
"""Of the standard; the first opset with attention as one operation."""
MICROSOFT = "com.microsoft"
"""The domain of the operations that ONNX Runtime has beyond the standard's."""


class Assembly:
    """Operations in the order in which they are added. Every value is known by its name."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeProto] = {}
        self._constants: dict[str, TensorProto] = {}

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Returns the name. What has the same name is the same, and is kept once."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def halves(self, name: str, value: NDArray[np.float32]) -> str:
        """A constant in bfloat16. value: float32 of which each number is one in bfloat16 too."""
        bits = (np.asarray(value, order="C").view(np.uint32) >> 16).astype("<u2")
        kind, shape = TensorProto.BFLOAT16, value.shape
        self._constants[name] = helper.make_tensor(name, kind, shape, bits.tobytes(), raw=True)
        return name

    def integers(self, *values: int) -> str:
        """A constant (values,) int64, such as a shape."""
        name = "integers." + ".".join(map(str, values))
        return self.constant(name, np.array(values, np.int64))

    def add(
        self, operation: str, inputs: Sequence[str], output: str, domain: str = "", **more: Any
    ) -> str:
        """An operation with one output, by whose name it goes too. Returns that name.

        more: its attributes. Raises ValueError if there is a value of this name.
        """
        if output in self._nodes:
            raise ValueError(f"{output}: there is a value of this name")
        self._nodes[output] = helper.make_node(
            operation, inputs, [output], name=output, domain=domain, **more
        )
        return output

    def once(self, operation: str, inputs: Sequence[str], output: str, **more: Any) -> str:
        """What `add` does, unless it is there already."""
        return output if output in self._nodes else self.add(operation, inputs, output, **more)

    def fused(self, operation: str, inputs: Sequence[str], output: str, **more: Any) -> str:
        """An operation of ONNX Runtime's own."""
        return self.add(operation, inputs, output, MICROSOFT, **more)

    def model(
        self, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
    ) -> ModelProto:
        """All that was added, as one graph."""
        nodes, constants = list(self._nodes.values()), list(self._constants.values())
        graph = helper.make_graph(nodes, "student", inputs, outputs, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR, producer_name="nestling"
        )
