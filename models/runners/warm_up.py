"""Batches that between them need every variant of the kernels that a batch can need.

What is compiled for an operation depends on three things: whether a batch holds one student or
several; of what the widths are multiples, and in which class of columns the widest lies; and in
which class of rows the batch lies. The first two are those of a mix of students. A mix is tried
where it has an operation that none before it had; each of them with so many sequences of one token
that all operations have rows of one class, for every class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations

from ...kernels.multiples import multiple_of
from ...kernels.prefix import widths
from ...kernels.tiles import COLUMN_CLASSES, ROW_CLASSES
from ..checkpoint.manifest import Manifest
from ..nested.block import Prefixes
from ..nested.trunk import NestedTransformer
from .base import ForwardBatch

FEW = 5
"""So many students are tried in all combinations; of more, up to three at a time, and all."""
SHORT = (3, 1, 7, 12, 30)
"""Tokens of a few more sequences: attention by torch loads its kernels when they are first used."""


def warm_up_batches(
    manifest: Manifest, model: NestedTransformer, max_tokens: int
) -> Iterator[ForwardBatch]:
    """The batches, none of more than `max_tokens` tokens."""
    rows = [1, *(c + 1 for c in ROW_CLASSES)]
    for names in mixes(manifest, model):
        for count in rows:
            if (count := max(count, len(names))) <= max_tokens:
                yield _batch([[0]] * count, names)
        lengths = [n for n in (*SHORT, manifest.architecture.max_tokens) if n <= max_tokens]
        for length in lengths:
            if length * len(names) <= max_tokens:
                yield _batch([[0] * length] * len(names), names)


def mixes(manifest: Manifest, model: NestedTransformer) -> Iterator[tuple[str, ...]]:
    """Students that are asked in one batch, by name: no two mixes with the same operations."""
    weights = {name: model.student(each.spec) for name, each in manifest.students.items()}
    seen: set[object] = set()
    for names in _combinations(sorted(weights)):
        embedding, *others = model.operations([weights[name] for name in names])
        found = {(_kind(embedding), _kind(each)) for each in others}
        if not found <= seen:
            seen |= found
            yield names


def _combinations(names: Sequence[str]) -> Iterable[tuple[str, ...]]:
    sizes = (1, 2, 3, len(names)) if len(names) > FEW else tuple(range(1, len(names) + 1))
    return chain.from_iterable(combinations(names, size) for size in sizes)


def _kind(given: Iterable[Prefixes]) -> object:
    """What is compiled for some operations, as far as their widths say."""
    return tuple(tuple(map(_width_kind, widths(prefixes))) for prefixes in given)


def _width_kind(each: tuple[int, ...]) -> tuple[bool, int, int, int]:
    widest = max(each)
    column_class = next(c for c in COLUMN_CLASSES if widest <= c)
    return len(each) == 1, column_class, multiple_of(widest), multiple_of(*each)


def _batch(sequences: list[list[int]], names: Sequence[str]) -> ForwardBatch:
    """As many for each student, and what is left for the first."""
    each, rest = divmod(len(sequences), len(names))
    runs = [(name, each + (rest if name == names[0] else 0)) for name in names]
    return ForwardBatch.ruled(sequences, runs, [(1.0, 1.0, 1.0, 1.0)] * len(sequences))
