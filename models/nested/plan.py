"""What each layer does with a packed batch: integers, worked out once per batch on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...kernels import Layout
from ...kernels.groups import Indices
from .spec import StudentSpec


@dataclass(frozen=True)
class LayerStep:
    """One layer. dim, heads, ffn: each group's widths, all zeros where it skips the layer.

    finished: the groups whose last layer this is, so that their rows shrink to the first of each
    sequence. layout: of the rows that come in; remaining: of those that leave; kept: which of the
    former those are, or none if all.
    """

    layer: int
    dim: tuple[int, ...]
    heads: tuple[int, ...]
    ffn: tuple[int, ...]
    finished: tuple[bool, ...]
    layout: Layout
    remaining: Layout
    kept: Indices | None


def plan(
    layout: Layout, students: Sequence[StudentSpec], shrink: bool = True
) -> tuple[LayerStep, ...]:
    """The layers that some group has, in order.

    shrink: whether rows shrink to the first tokens at a student's last layer.
    """
    steps = []
    for layer in sorted({layer for student in students for layer in student.layers}):
        at = [s.layers.index(layer) if layer in s.layers else None for s in students]
        here = list(zip(students, at, strict=True))
        finished = tuple(shrink and i == len(s.layers) - 1 for s, i in here)
        kept, remaining = layout.keep_first_rows(finished)
        steps.append(
            LayerStep(
                layer,
                tuple(0 if i is None else s.dim for s, i in here),
                tuple(0 if i is None else s.heads[i] for s, i in here),
                tuple(0 if i is None else s.ffn[i] for s, i in here),
                finished,
                layout,
                remaining,
                None if remaining is layout else Indices(kept),
            )
        )
        layout = remaining
    return tuple(steps)
