"""Texts without labels beside the labelled ones: real ones, where recombined ones only look so.

The teacher judges them, and they join the pool that is distilled without labels. Those of which it
is sure are recombined too, so that few labelled texts do not limit which words the pool has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..checkpoint.integrity import sha256_of
from ..errors import DataError
from ..heads.task import AnswerTask
from ..inputs.data import Labelled, read_texts
from ..inputs.data.fingerprints import fingerprint
from ..inputs.data.text_columns import TextColumns
from ..inputs.text import Text
from ..inputs.tokenizer import TextTokenizer
from .examples import tokenise

SURE = 0.9
"""The teacher's probability from which its label counts as that of the text, in recombining; a
share of the highest that it has learnt to give."""


@dataclass(frozen=True)
class Unlabelled:
    """Texts, none twice and none of them among the labelled ones, and their token ids.

    sha256: of their file; None where there is none. digest: of the texts that are kept of it.
    doubts: what about the file was probably not meant, a sentence each.
    """

    texts: tuple[Text, ...] = ()
    sequences: tuple[list[int], ...] = ()
    sha256: str | None = None
    digest: str | None = None
    doubts: tuple[str, ...] = ()


def read_unlabelled(
    path: Path,
    columns: TextColumns,
    labelled: Sequence[Labelled],
    tokenizer: TextTokenizer,
    longest: int,
) -> Unlabelled:
    """What the file has beyond the labelled texts, whether those train or test.

    A text that tests would otherwise be trained on. longest: of a text, in tokens.
    Raises DataError that names the file and the row at fault, or says that nothing is left.
    """
    seen = {fingerprint(text) for data in labelled for text in data.texts}
    texts = read_texts(path, columns)
    kept = []
    for text in texts:
        if (own := fingerprint(text)) not in seen:
            seen.add(own)
            kept.append(text)
    left_out = len(texts) - len(kept)
    if not kept:
        raise DataError(f"{path}: every text is among the labelled ones, too; nothing is added")
    doubts: tuple[str, ...] = ()
    if left_out:
        doubts = (
            f"{path}: {left_out:,} of {len(texts):,} texts are left out: they are repeated, or "
            "among the labelled ones",
        )
    sequences = tokenise(kept, tokenizer, longest)
    digest = blake2b(np.array([fingerprint(text) for text in kept]).tobytes(), digest_size=16)
    return Unlabelled(tuple(kept), sequences, sha256_of(path), digest.hexdigest(), doubts)


def sure_labels(
    task: AnswerTask, texts: Sequence[Text], logits: Tensor, smoothing: float
) -> tuple[list[Text], list[int]]:
    """Texts of which the teacher is sure, and the answer that it gives each.

    logits: the teacher's, (texts, labels). smoothing: of the labels that it learnt, so that even of
    its own training texts it is no surer than `task.surest` says.
    """
    found = task.scores(logits.float(), torch.ones(len(logits)))
    sure = found.probability >= SURE * task.surest(smoothing)
    chosen = sure.nonzero().flatten().tolist()
    return [texts[i] for i in chosen], [int(found.label[i]) for i in chosen]
