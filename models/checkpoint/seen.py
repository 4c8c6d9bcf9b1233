"""Whether a checkpoint has seen a data set before: in its training, or in its calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from ..inputs.data.fingerprints import TextSample, fingerprint
from .integrity import read_hashed_json
from .manifest import TRAINING_TEXTS, Manifest, parse

MOST_TRAINED_ON = 0.2
"""Share of the calibration's texts that may be in the training set. In traffic some are."""
ENOUGH = 20
"""Texts of which a share is believed, where the checkpoint keeps a sample of its training texts."""
MOST_REPEATS = 0.05
"""Share of the calibration's rows that repeat another one's text without a word being said."""


def refuse_training_texts(
    manifest: Manifest, texts: Sequence[str], sha256: str, path: Path
) -> list[str]:
    """What a calibration on these texts would promise too much of, a sentence each.

    sha256: of their file. Raises DataError for texts that the checkpoint was trained on: students
    are surer and more often right there than on new ones, and the promise would be void.
    """
    found = _trained_on(manifest, texts, sha256, path)
    if found and found[1]:
        raise DataError(
            f"{found[0]}. What is promised on such texts does not hold on new ones: calibrate on "
            "texts that were kept apart"
        )
    doubts = [f"{found[0]}; the promise is a little too good"] if found else []
    repeats = sum(count - 1 for count in Counter(map(fingerprint, texts)).values())
    if repeats > MOST_REPEATS * len(texts):
        doubts.append(
            f"{path}: {repeats:,} of {len(texts):,} rows repeat the text of another one; the "
            "promise counts each as a draw of its own, which copies are not"
        )
    return doubts


def doubts_about_evaluation(
    manifest: Manifest, texts: Sequence[str], sha256: str, path: Path
) -> list[str]:
    """Why numbers measured on these texts say less of new ones, a sentence each."""
    found = _trained_on(manifest, texts, sha256, path)
    doubts = [f"{found[0]}; the numbers are too good"] if found else []
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


def _trained_on(
    manifest: Manifest, texts: Sequence[str], sha256: str, path: Path
) -> tuple[str, bool] | None:
    """What is known of the training on these texts, and whether it is too much for a promise."""
    if manifest.provenance.get("data_sha256") == sha256:
        return f"{path}: is the very file that {manifest.path} was trained on", True
    sample = training_sample(manifest)
    if sample is None:
        return None
    shared = sample.shared_with(texts)
    if not shared.found:
        return None
    of = f"{shared.compared:,} texts" + ("" if sample.whole else " that could be told")
    said = f"{path}: {shared.found:,} of {of} are among those that {manifest.path} was trained on"
    enough = sample.whole or shared.compared >= ENOUGH
    return said, enough and shared.share > MOST_TRAINED_ON


def training_sample(manifest: Manifest) -> TextSample | None:
    """Of the training texts; None where the checkpoint keeps none."""
    file = manifest.path / TRAINING_TEXTS
    if not file.exists():
        return None
    sample: TextSample = parse(file, lambda: TextSample.from_json(read_hashed_json(file)))
    return sample
