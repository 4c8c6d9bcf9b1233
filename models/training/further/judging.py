"""Which texts every student has right, before and after, by kind of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...checkpoint.manifest import TA, Manifest
from ...nested.trunk import NestedTransformer
from ...progress import SILENT, Progress
from ..examples import logits_of, tokenise
from .comparison import Comparison
from .material import FurtherText


def answers_of(
    model: NestedTransformer,
    manifest: Manifest,
    texts: Sequence[FurtherText],
    progress: Progress = SILENT,
    phase: str = "",
) -> dict[str, Tensor]:
    """Every student's logits, by name: (texts, labels) float32. Raises NotFiniteError."""
    sequences = tokenise(
        [each.text for each in texts], manifest.tokenizer, manifest.architecture.max_tokens
    )
    return {
        name: logits_of(model, student.spec, sequences, name, progress, f"{phase} ({name})")
        for name, student in manifest.students.items()
    }


def truth_of(texts: Sequence[FurtherText], before: Mapping[str, Tensor]) -> Tensor:
    """Each text's label, or the word of the TA as it was: (texts,) int64."""
    pairs = zip(texts, before[TA].argmax(-1).tolist(), strict=True)
    return torch.tensor([ta if each.label is None else each.label for each, ta in pairs])


def compare(
    texts: Sequence[FurtherText],
    truth: Tensor,
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
) -> list[Comparison]:
    """Every student on the texts of each source, those with and those without a label apart.

    truth: of all texts, as `truth_of` gives it. before, after: their logits, as `answers_of` does.
    """
    found = []
    for where, by_the_ta, rows in _kinds(texts):
        for name in before:
            first, then = (each[name][rows].argmax(-1) == truth[rows] for each in (before, after))
            found.append(Comparison.of(where, name, first, then, by_the_ta))
    return found


def _kinds(texts: Sequence[FurtherText]) -> list[tuple[str, bool, list[int]]]:
    kinds: dict[tuple[str, bool], list[int]] = {}
    for row, each in enumerate(texts):
        kinds.setdefault((each.source, each.label is None), []).append(row)
    return [(source, by_the_ta, rows) for (source, by_the_ta), rows in kinds.items()]
