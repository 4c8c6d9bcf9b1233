"""One student alone, on padded input: what becomes an ONNX graph.

Padding goes no further than the attention, where sequences have to be told apart: everything else
runs on the tokens end to end. Texts of real traffic are padded to about twice their tokens.

The same arithmetic as `models/nested/trunk.py`, of the same parts in the same order, but without
groups: the widths are those of the weights. Each weight is a copy of the student's slice, so that
a graph holds nothing that is computed from weights alone.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...nested.spec import StudentSpec
from ...nested.trunk import NestedTransformer
from .block import GraphBlock
from .embedding import GraphEmbedding, Packing
from .heads import GraphHead


class PaddedStudent(nn.Module):
    """A student's logits of padded sequences, in float32, on the CPU.

    temperature: by which the classifier's weights are divided, and so the logits. typed: whether it
    takes each token's segment as an input, as BERT does elsewhere; there is only one segment.
    """

    def __init__(
        self,
        model: NestedTransformer,
        spec: StudentSpec,
        temperature: float = 1.0,
        typed: bool = False,
    ) -> None:
        super().__init__()
        a, student = model.architecture, model.student(spec)
        self.embedding = GraphEmbedding(student.embedding, a.norm_eps, typed)
        self.blocks = nn.ModuleList(
            GraphBlock(part, a.head_dim, a.activation, a.norm_eps, layer == spec.layers[-1])
            for layer, part in student.blocks.items()
        )
        self.head = GraphHead(student.head, temperature)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Logits: (batch, labels) float32.

        All inputs: (batch, length) int64. The mask is 1 on tokens and 0 on padding, whose ids may
        be any in the vocabulary. token_type_ids: 0 on all tokens; given if, and only if, `typed`.
        """
        packing = Packing.of(attention_mask)
        x = self.embedding(input_ids, packing, token_type_ids)
        for block in self.blocks:
            x = block(x, packing)
        logits: Tensor = self.head(x)
        return logits
