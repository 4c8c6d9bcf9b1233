"""Whether a checkpoint has seen a data set before: in training, in a search, or in calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import comb
from pathlib import Path

from ..errors import DataError
from ..inputs.data.fingerprints import Shared, TextSample, fingerprint
from ..inputs.text import Text
from .integrity import read_hashed_json
from .manifest import JUDGING_TEXTS, TRAINING_TEXTS, Manifest, parse
from .searches import read_searches

MOST_MET = 0.2
"""Share of the calibration's texts that may be among those of the training, or of a search. In
traffic some are."""
ENOUGH = 20
"""Texts of which a share is believed, where the checkpoint keeps a sample of those it has met."""
CHANCE = 0.01
"""Below this probability so many of fewer texts are believed, too."""
MOST_REPEATS = 0.05
"""Share of the rows that may repeat another one's text without a word being said."""


_Known = tuple[str | None, TextSample | None, str]
"""Texts that the checkpoint has met: the sha256 of their file, a sample of them, what they were."""


def refuse_training_texts(
    manifest: Manifest, texts: Sequence[Text], sha256: str, path: Path
) -> list[str]:
    """What a calibration on these texts would promise too much of, a sentence each.

    sha256: of their file. Raises DataError for texts that the checkpoint was trained on, that chose
    or judged its weights, or that a search for its students looked at: students are surer and more
    often right there than on new ones, and the promise would be void.
    """
    doubts = []
    known = [_training(manifest), _judging(manifest), *_searches(manifest)]
    for said, too_much in _met(known, texts, sha256, path):
        if too_much:
            raise DataError(
                f"{said}. What is promised on such texts does not hold on new ones: calibrate on "
                "texts that were kept apart"
            )
        doubts.append(f"{said}; the promise is a little too good")
    return [*doubts, *_repeats(texts, path, "the promise counts")]


def refuse_to_search(
    manifest: Manifest, texts: Sequence[Text], sha256: str, path: Path
) -> list[str]:
    """Why students that these texts choose may be worse than they seem, a sentence each.

    sha256: of their file. Raises DataError for texts that the checkpoint was trained on, on which
    all students look alike.
    """
    doubts = []
    for said, too_much in _met([_training(manifest)], texts, sha256, path):
        if too_much:
            raise DataError(
                f"{said}. Students that are good on those need not be on new ones: search with "
                "texts that were kept apart"
            )
        doubts.append(f"{said}; what is measured is a little too good")
    return [*doubts, *_repeats(texts, path, "the intervals of what is measured count")]


def doubts_about_judging(
    manifest: Manifest, texts: Sequence[Text], sha256: str, path: Path
) -> list[str]:
    """Why these texts cannot judge what further training brings, a sentence each."""
    found = _met([_training(manifest)], texts, sha256, path)
    return [f"{said}; the weights before are too good there" for said, _ in found]


def doubts_about_evaluation(
    manifest: Manifest, texts: Sequence[Text], sha256: str, path: Path
) -> list[str]:
    """Why numbers measured on these texts say less of new ones, a sentence each."""
    known = [_training(manifest), _judging(manifest), *_searches(manifest)]
    doubts = [f"{said}; the numbers are too good" for said, _ in _met(known, texts, sha256, path)]
    calibrated = [
        name
        for name, cascade in manifest.cascades.items()
        if cascade.guarantee and cascade.guarantee.data_sha256 == sha256
    ]
    if calibrated:
        doubts.append(
            f"{path}: is the file on which {', '.join(calibrated)} was calibrated; thresholds and "
            "temperatures are fitted to it, and numbers on it say little of new texts"
        )
    return doubts


def _met(
    known: Iterable[_Known], texts: Sequence[Text], sha256: str, path: Path
) -> Iterator[tuple[str, bool]]:
    """What is known of these texts, and whether it is too much for a promise."""
    for data_sha256, sample, what in known:
        if data_sha256 == sha256:
            yield f"{path}: is the very file {what}", True
        elif sample is not None and (shared := sample.shared_with(texts)).found:
            of = f"{shared.compared:,} texts" + ("" if sample.whole else " that could be told")
            said = f"{path}: {shared.found:,} of {of} are among those {what}"
            yield said, _are_too_many(shared, sample.whole)


def _are_too_many(shared: Shared, whole: bool) -> bool:
    """Whether more than `MOST_MET` of all texts are known; of few, only where chance hardly ever
    finds so many: a sample of many unlabelled texts knows few of the labelled ones beside them.
    """
    n = shared.compared
    if whole or n >= ENOUGH:
        return shared.share > MOST_MET
    each = (
        comb(n, k) * MOST_MET**k * (1 - MOST_MET) ** (n - k) for k in range(shared.found, n + 1)
    )
    return sum(each) < CHANCE


def _repeats(texts: Sequence[Text], path: Path, counts: str) -> list[str]:
    """That many rows are copies, where they are; counts: what takes them for texts of their own."""
    repeats = sum(count - 1 for count in Counter(map(fingerprint, texts)).values())
    if repeats <= MOST_REPEATS * len(texts):
        return []
    return [
        f"{path}: {repeats:,} of {len(texts):,} rows repeat the text of another one; {counts} "
        "each as a draw of its own, which copies are not"
    ]


def _training(manifest: Manifest) -> _Known:
    data_sha256 = manifest.provenance.get("data_sha256")
    return data_sha256, training_sample(manifest), f"that {manifest.path} was trained on"


def _judging(manifest: Manifest) -> _Known:
    what = f"that chose or judged the weights of {manifest.path} in further training"
    return None, judging_sample(manifest), what


def _searches(manifest: Manifest) -> list[_Known]:
    what = f"by which students of {manifest.path} were searched for"
    return [(each.data_sha256, each.looked_at, what) for each in read_searches(manifest.path)]


def training_sample(manifest: Manifest) -> TextSample | None:
    """Of the training texts; None where the checkpoint keeps none."""
    return _sample(manifest.path / TRAINING_TEXTS)


def judging_sample(manifest: Manifest) -> TextSample | None:
    """Of the texts that chose or judged weights that were trained further; None where none did."""
    return _sample(manifest.path / JUDGING_TEXTS)


def _sample(file: Path) -> TextSample | None:
    if not file.exists():
        return None
    sample: TextSample = parse(file, lambda: TextSample.from_json(read_hashed_json(file)))
    return sample
