"""What further training starts from, read before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...checkpoint.load import Checkpoint, load_checkpoint
from ...checkpoint.seen import doubts_about_judging, judging_sample, training_sample
from ...errors import DataError, NestlingError
from ...heads.truth import answers_in
from ...inputs.data import read_labelled
from ...inputs.data.fingerprints import TextSample, fingerprint
from ...inputs.data.label_columns import LABEL, LabelColumns
from ...inputs.data.text_columns import TEXT, TextColumns
from ...inputs.text import Text
from ...nested.head_spec import HeadSpec
from ...progress import SILENT, Progress
from ..examples import tokenise
from ..held_out import TELLING
from ..plan import Wishes, longest_text, planned_further
from ..recipe import Recipe
from .parts import DATA, TRAFFIC, VALIDATION, FurtherPart, part_of, parts_of
from .traffic import TrafficTexts, read_traffic, size_of, told

DRAWN = (DATA, VALIDATION)
"""Whose labels judge the TA, whatever it answered. In traffic they may have been picked: complaints
come where it is wrong, so that it can win such texts but hardly lose one.
"""
FEWEST = 10
"""Texts of traffic that train; and that judge, where nothing else does."""


@dataclass(frozen=True)
class FurtherOptions:
    """What the user asks for. data: labelled texts that are repeated. validation: others that
    judge. keep_worse: whether to write what is worse, too. longest: of a text that trains, in
    tokens, or none: what covers them.
    """

    checkpoint: Path
    traffic: Path
    out: Path
    data: Path | None = None
    validation: Path | None = None
    texts: TextColumns = TEXT
    labels: LabelColumns = LABEL
    keep_worse: bool = False
    longest: int | None = None
    save_every: int = 500
    wishes: Wishes = field(default_factory=Wishes)

    @property
    def folder(self) -> Path:
        """Where all runs to this output keep what took long."""
        return self.out.with_name(self.out.name + ".training")


@dataclass(frozen=True)
class FurtherText:
    """label: its index, None where nobody has said it. source: `TRAFFIC`, `DATA`, `VALIDATION`."""

    text: Text
    label: int | None
    source: str


@dataclass(frozen=True)
class FurtherMaterial:
    """texts: by what they are for. sequences: token ids of those that train, `longest` at most.
    by_labels: whether `TELLING` texts or more judge whose labels are of `DRAWN`. trained_on,
    judged_by: samples of all that the checkpoint will have been trained on, and of all that chose
    its weights or judged them. files: sha256 by source. traffic_bytes: that were read of it. notes:
    what was found, a sentence each.
    """

    checkpoint: Checkpoint
    texts: dict[FurtherPart, list[FurtherText]]
    sequences: tuple[list[int], ...]
    longest: int
    recipe: Recipe
    by_labels: bool
    trained_on: TextSample
    judged_by: TextSample
    files: dict[str, str]
    traffic_bytes: int
    notes: tuple[str, ...]


def gather_further(
    options: FurtherOptions, progress: Progress = SILENT, size: int | None = None
) -> FurtherMaterial:
    """size: bytes of the traffic to read; all by default. Raises CheckpointError, and DataError for
    files that cannot be used or have too few texts.
    """
    progress.step("loading the checkpoint")
    checkpoint = load_checkpoint(options.checkpoint)
    head = checkpoint.architecture.head()
    progress.step("reading texts")
    columns = replace(options.texts, pairs=head.inputs == "pair")
    if head.task != "single_label":
        raise NestlingError(
            f"resume-from: {options.checkpoint} answers several labels a text; only a checkpoint "
            "of one label a text is trained further"
        )
    column = options.labels.column or "label"
    traffic = read_traffic(options.traffic, head.labels, columns, column, size)
    known = training_sample(checkpoint)
    notes, files = [told(traffic, options.traffic)], {TRAFFIC: traffic.sha256}
    if traffic.size < size_of(options.traffic):
        notes.append(_grown(options))
    texts: dict[FurtherPart, list[FurtherText]] = {part: [] for part in FurtherPart}
    if options.validation:
        judges = _labelled(options, columns, options.validation, VALIDATION, head, files)
        texts[FurtherPart.JUDGES] += judges
        said = [each.text for each in judges]
        doubts = doubts_about_judging(checkpoint, said, files[VALIDATION], options.validation)
        notes += [f"warning: {doubt}" for doubt in doubts]
    placed = {fingerprint(each.text) for each in texts[FurtherPart.JUDGES]}
    if options.data:
        data = _labelled(options, columns, options.data, DATA, head, files)
        parts = parts_of([each.text for each in data], None if options.validation else known)
        for each, part in zip(data, parts, strict=True):
            if fingerprint(each.text) not in placed:
                texts[part].append(each)
        placed.update(fingerprint(each.text) for each in data)
    else:
        notes.append(_without_data(known))
    learnt_before = known.kept if known else frozenset()
    for each in _of_traffic(traffic):
        found = fingerprint(each.text)
        if found not in placed:  # else its label is known from there
            part = FurtherPart.TRAINS if found in learnt_before else part_of(each.text)
            texts[part].append(each)
    _check(texts, options)
    learnt = [each.text for each in texts[FurtherPart.TRAINS]]
    judged = [
        each.text for part in (FurtherPart.CHOOSES, FurtherPart.JUDGES) for each in texts[part]
    ]
    by_labels = _drawn(texts[FurtherPart.JUDGES]) >= TELLING
    if not by_labels and any(each.label is None for each in texts[FurtherPart.JUDGES]):
        notes.append(_by_its_word(texts[FurtherPart.JUDGES]))
    progress.step("tokenising texts")
    most = checkpoint.architecture.max_tokens
    sequences = tokenise(learnt, checkpoint.tokenizer, most)
    longest = min(options.longest or longest_text([len(ids) for ids in sequences]), most)
    too_long = sum(len(ids) > longest for ids in sequences)
    notes.append(_counted(texts, too_long, longest))
    if too_long:
        sequences = tokenise(learnt, checkpoint.tokenizer, longest)
    return FurtherMaterial(
        checkpoint,
        texts,
        sequences,
        longest,
        planned_further(options.wishes, [len(ids) for ids in sequences], len(head.labels)),
        by_labels,
        _joined(known, learnt),
        _joined(judging_sample(checkpoint), judged),
        files,
        traffic.size,
        tuple(notes),
    )


def _labelled(
    options: FurtherOptions,
    columns: TextColumns,
    path: Path,
    source: str,
    head: HeadSpec,
    files: dict[str, str],
) -> list[FurtherText]:
    found = read_labelled(path, columns, options.labels)
    files[source] = found.sha256
    pairs = zip(found.texts, answers_in(found, head, path), strict=True)
    return [FurtherText(text, label, source) for text, label in pairs]


def _of_traffic(traffic: TrafficTexts) -> list[FurtherText]:
    pairs = zip(traffic.texts, traffic.labels, strict=True)
    return [FurtherText(text, label, TRAFFIC) for text, label in pairs]


def _joined(sample: TextSample | None, texts: Sequence[Text]) -> TextSample:
    return sample.joined(texts) if sample else TextSample.of(texts)


def _drawn(judges: Sequence[FurtherText]) -> int:
    return sum(each.label is not None and each.source in DRAWN for each in judges)


def _grown(options: FurtherOptions) -> str:
    return (
        f"{options.traffic}: has grown since it was first read for {options.out}, and is read as "
        f"far as then; remove {options.folder} to read all of it"
    )


def _without_data(known: TextSample | None) -> str:
    said = "no --data: what the checkpoint has learnt before is not repeated, and may be forgotten"
    if known is not None and known.whole:
        return said
    has = "none" if known is None else f"{len(known.kept):,} of {known.distinct:,}"
    return (
        f"{said}; and of its training texts it knows {has}, so that others of them may judge where "
        "they come in traffic, for which the weights before are too good"
    )


def _by_its_word(judges: Sequence[FurtherText]) -> str:
    found = _drawn(judges)
    if any(each.label is not None for each in judges):
        few = f"{found:,} of the texts that judge have a label that is not of the traffic"
    else:
        few = "no text that judges has a label"
    return (
        f"{few}: on texts without one, students are held against the TA's word, and the TA itself "
        f"may change few of its answers; --validation with {TELLING} texts or more, which nobody "
        "picked by its answers, says more"
    )


def _counted(texts: dict[FurtherPart, list[FurtherText]], too_long: int, longest: int) -> str:
    train, held_out, judge = (
        len(texts[part]) for part in (FurtherPart.TRAINS, FurtherPart.CHOOSES, FurtherPart.JUDGES)
    )
    hardly = "" if judge >= TELLING else ", too few to notice a small loss"
    too_few = "" if held_out >= TELLING else ", too few to choose by: the last state is kept"
    return (
        f"{train:,} texts train, of which {longest} tokens are read at most, so {too_long:,} are "
        f"cut; {judge:,} judge{hardly}; {held_out:,} are held out{too_few}"
    )


def _check(texts: dict[FurtherPart, list[FurtherText]], options: FurtherOptions) -> None:
    learnt = sum(each.source == TRAFFIC for each in texts[FurtherPart.TRAINS])
    judging = len(texts[FurtherPart.JUDGES])
    for count, what in ((learnt, "train"), (judging, "judge what came of it")):
        if count < FEWEST:
            raise DataError(
                f"{options.traffic}: {count} of its texts are there to {what}; it takes {FEWEST} "
                "at least, and seven in ten train, two in ten judge"
            )
