"""Which students a TA could have, and the small steps that lead from one to another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec

HEAD_STEPS, FFN_STEPS, DIM_STEPS = 6, 8, 8
"""Into how many steps each full width is divided."""
NARROWEST_DIM = 0.5
"""Of the TA's: who was never trained narrower knows nothing there, so less is not tried, but where
a student of the checkpoint has less."""
SECOND_STEP = 0.4
"""How often a child is two steps from its parent instead of one."""


@dataclass(frozen=True)
class SearchSpace:
    """The widths that are tried; any layers may be together.

    attention_heads, ffn, dims: increasing. Those of the students that the checkpoint has are among
    them.
    """

    architecture: Architecture
    attention_heads: tuple[int, ...]
    ffn: tuple[int, ...]
    dims: tuple[int, ...]

    @classmethod
    def of(cls, architecture: Architecture, known: Iterable[StudentSpec]) -> SearchSpace:
        """known: the students of the checkpoint, whose widths were trained."""
        students = list(known)
        a = architecture
        dims = {d for d in _steps(a.dim, DIM_STEPS) if d >= NARROWEST_DIM * a.dim}
        return cls(
            a,
            _sorted(
                _steps(a.attention_heads, HEAD_STEPS),
                (w for s in students for w in s.attention_heads),
            ),
            _sorted(_steps(a.ffn, FFN_STEPS), (w for s in students for w in s.ffn)),
            _sorted(dims, (s.dim for s in students)),
        )

    @property
    def smallest(self) -> StudentSpec:
        """One layer of the least widths: nobody that is tried costs less."""
        last = self.architecture.layers - 1
        return StudentSpec((last,), self.dims[0], (self.attention_heads[0],), (self.ffn[0],))

    def gradual(self) -> list[StudentSpec]:
        """A student of each depth, with evenly spaced layers up to the last one, whose FFNs widen
        from layer to layer: the shape that MatFormer's authors found best.
        """
        a, last = self.architecture, self.architecture.layers - 1
        found = []
        for count in range(1, a.layers):
            layers = sorted({last, *np.linspace(0, last, count + 1)[1:].round().astype(int)})
            for narrowest in (self.ffn[0], self.ffn[len(self.ffn) // 2]):
                ramp = np.linspace(narrowest, a.ffn, len(layers) + 1)[1:]
                ffn = tuple(self.ffn[bisect_left(self.ffn, round(width))] for width in ramp)
                heads = (a.attention_heads,) * len(layers)
                found.append(StudentSpec(tuple(map(int, layers)), a.dim, heads, ffn))
        return found

    def changed(self, spec: StudentSpec, rng: np.random.Generator) -> StudentSpec:
        """A neighbour: one or two steps away. It can be the same, where a step leads nowhere."""
        steps: tuple[Callable[[StudentSpec, np.random.Generator], StudentSpec], ...] = (
            self._other_layers,
            self._other_heads,
            self._other_ffn,
            self._other_ffn,  # most of the FLOPs, and what training varies
            self._other_dim,
        )
        for _ in range(1 + (rng.random() < SECOND_STEP)):
            spec = steps[rng.integers(len(steps))](spec, rng)
        return spec

    def _other_layers(self, spec: StudentSpec, rng: np.random.Generator) -> StudentSpec:
        """One more, one less, or one for another; a new one is as wide as its neighbour."""
        widths = {
            layer: (heads, ffn)
            for layer, heads, ffn in zip(spec.layers, spec.attention_heads, spec.ffn, strict=True)
        }
        absent = [layer for layer in range(self.architecture.layers) if layer not in widths]
        what = rng.integers(3)
        if absent and what > 0:
            new = int(rng.choice(absent))
            nearest = min(widths, key=lambda layer: abs(layer - new))
            widths[new] = widths.pop(nearest) if what == 2 else widths[nearest]
        elif what == 0 and len(widths) > 1:
            del widths[int(rng.choice(list(widths)))]
        layers = tuple(sorted(widths))
        heads, ffn = zip(*(widths[layer] for layer in layers), strict=True)
        return StudentSpec(layers, spec.dim, heads, ffn)

    def _other_heads(self, spec: StudentSpec, rng: np.random.Generator) -> StudentSpec:
        return replace(
            spec, attention_heads=_one_stepped(spec.attention_heads, self.attention_heads, rng)
        )

    def _other_ffn(self, spec: StudentSpec, rng: np.random.Generator) -> StudentSpec:
        return replace(spec, ffn=_one_stepped(spec.ffn, self.ffn, rng))

    def _other_dim(self, spec: StudentSpec, rng: np.random.Generator) -> StudentSpec:
        return replace(spec, dim=_stepped(spec.dim, self.dims, rng))


def _steps(full: int, steps: int) -> set[int]:
    return {max(1, round(full * step / steps)) for step in range(1, steps + 1)}


def _sorted(steps: set[int], trained: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(steps | set(trained)))


def _one_stepped(
    widths: tuple[int, ...], allowed: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, ...]:
    """One of them a step wider or narrower."""
    at = int(rng.integers(len(widths)))
    return (*widths[:at], _stepped(widths[at], allowed, rng), *widths[at + 1 :])


def _stepped(width: int, allowed: tuple[int, ...], rng: np.random.Generator) -> int:
    """The next wider or narrower one; at the end the same."""
    if rng.random() < 0.5:
        return allowed[max(0, bisect_left(allowed, width) - 1)]
    return allowed[min(len(allowed) - 1, bisect_right(allowed, width))]
