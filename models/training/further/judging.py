"""Which texts every student has right, before and after, by kind of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...checkpoint.manifest import TA, Manifest
from ...nested.trunk import NestedTransformer
from ...progress import SILENT, Progress
from ..examples import logits_of, tokenise
from .comparison import LEVEL, Comparison
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
    by_labels: bool,
) -> list[Comparison]:
    """Every student on the texts of each source, those with and those without a label apart.

    On texts without a label a student is held to the earlier TA's word. Where labels judge the TA
    (by_labels, as in `Judgement`) and do not find it worse, a student that goes over to the new
    TA's word has not lost that text: labels may be what has overturned the earlier one.

    truth: of all texts, as `truth_of` gives it. before, after: their logits, as `answers_of` does.
    """
    first, then = ({n: said.argmax(-1) for n, said in each.items()} for each in (before, after))

    def of(where: str, by_the_ta: bool, rows: list[int], name: str, follow: bool) -> Comparison:
        had, has = (said[name][rows] == truth[rows] for said in (first, then))
        if follow:
            has = has | (had & (then[name][rows] == then[TA][rows]))
        return Comparison.of(where, name, had, has, by_the_ta)

    kinds = _kinds(texts)
    by_label = [of(*kind, TA, follow=False) for kind in kinds if not kind[1]]
    passed = by_labels and not any(each.p_worse() < LEVEL for each in by_label)
    return [
        of(*kind, name, follow=passed and kind[1] and name != TA)
        for kind in kinds
        for name in before
    ]


def _kinds(texts: Sequence[FurtherText]) -> list[tuple[str, bool, list[int]]]:
    kinds: dict[tuple[str, bool], list[int]] = {}
    for row, each in enumerate(texts):
        kinds.setdefault((each.source, each.label is None), []).append(row)
    return [(source, by_the_ta, rows) for (source, by_the_ta), rows in kinds.items()]
