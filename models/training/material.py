"""What a training run starts from, read and held against each other before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint.pretrained import Pretrained, find
from ..errors import CheckpointError, DataError, NestlingError
from ..families import family_of
from ..inputs.data import Labelled, read_labelled
from ..inputs.data.doubts import doubts_about_labels, doubts_about_sharing, refuse_look_alikes
from ..inputs.data.label_columns import AS_FILE, LabelColumns
from ..inputs.data.label_map import read_label_map, refuse_strangers, served_labels
from ..inputs.data.naming import listed
from ..inputs.data.text_columns import TEXT_OR_PAIR, TextColumns
from ..inputs.text import Text
from ..inputs.tokenizer import TextTokenizer
from ..nested.architecture import Architecture
from ..nested.head_spec import DEFAULT_HEAD, HeadSpec, check_labels
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from ..progress import SILENT, Progress
from .examples import Examples, tokenise
from .held_out import split
from .plan import Wishes, longest_text, planned
from .recipe import Recipe
from .students import default_students, read_students
from .unlabelled import Unlabelled, read_unlabelled

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Options:
    """What the user asks for. teacher: a directory or Hub id. students: a JSON file, or none.

    validation: texts whose accuracy is told at the end, or none; nothing is chosen by them.
    texts, labels: the columns that hold them.
    label_map: a JSON file {label of the data: label of the teacher}, or none.
    unlabelled: texts that the teacher judges, or none.
    longest: of a text in tokens, or none: what covers the data.
    """

    teacher: str
    data: Path
    out: Path
    validation: Path | None = None
    texts: TextColumns = TEXT_OR_PAIR
    labels: LabelColumns = AS_FILE
    probabilities_column: str | None = None
    label_map: Path | None = None
    unlabelled: Path | None = None
    students: Path | None = None
    longest: int | None = None
    save_every: int = 500
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True)
class Material:
    """pretrained: the teacher, or the encoder that becomes it. imported: its weights by our names.

    data: all of it. texts: those that train; held_out: the others, held_out_whole: these as they
    are served, in more tokens than training reads. validation: of the user's file, whose sha256 is
    beside it. longest: of a text, in tokens; too_long: texts cut there.
    doubts: what about the data was probably not meant, a sentence each.
    """

    pretrained: Pretrained
    imported: Weights
    architecture: Architecture
    students: dict[str, StudentSpec]
    tokenizer: TextTokenizer
    data: Labelled
    texts: tuple[Text, ...]
    train: Examples
    held_out: Examples
    held_out_whole: Examples
    validation: Examples | None
    validation_sha256: str | None
    unlabelled: Unlabelled
    longest: int
    too_long: int
    recipe: Recipe
    doubts: tuple[str, ...]


def gather_material(options: Options, progress: Progress = SILENT) -> Material:
    """Raises NestlingError, of which DataError is a kind, for files that cannot be used."""
    progress.step("looking for the teacher")
    pretrained = Pretrained.at(find(options.teacher))
    progress.step("reading texts")
    data = read_labelled(options.data, options.texts, options.labels, options.probabilities_column)
    of_teacher = _of_teacher(options, pretrained, data)
    of_pairs = isinstance(data.texts[0], tuple)
    as_data = replace(options.texts, pairs=of_pairs)
    refuse_look_alikes(data, options.data)
    validation = options.validation and read_labelled(
        options.validation, as_data, replace(options.labels, kind=data.kind)
    )
    files = {options.data: data} | (
        {options.validation: validation} if options.validation and validation else {}
    )
    labels = _labels(options, pretrained, files)
    try:
        check_labels(data.kind, len(labels), str(options.data))
    except ValueError as error:
        raise DataError(str(error)) from None
    head = HeadSpec(DEFAULT_HEAD, data.kind, labels, inputs="pair" if of_pairs else "text")
    architecture = _architecture(pretrained, head)
    students = (
        read_students(options.students, architecture)
        if options.students
        else default_students(architecture)
    )
    tokenizer = _tokenizer(pretrained, architecture)
    progress.step("tokenising texts")
    everything = Examples.of(data, head, options.data, tokenizer, architecture.max_tokens)
    longest = options.longest or longest_text([len(ids) for ids in everything.sequences])
    longest = min(longest, architecture.max_tokens)
    too_long = sum(len(ids) > longest for ids in everything.sequences)
    train, held_out = split(data.texts, data.named, options.wishes.seed)
    whole = everything.at(held_out)
    if too_long:
        everything = replace(everything, sequences=tokenise(data.texts, tokenizer, longest))
    judging = everything.at(held_out)
    if judging.sequences == whole.sequences:
        whole = judging
    lengths = [len(everything.sequences[i]) for i in train]
    validated, shared = None, []
    if options.validation and validation:
        validated = Examples.of(validation, head, options.validation, tokenizer, longest)
        shared = doubts_about_sharing(data, validation, options.validation)
    unlabelled = Unlabelled()
    if options.unlabelled:
        unlabelled = read_unlabelled(
            options.unlabelled, as_data, list(files.values()), tokenizer, longest
        )
    return Material(
        pretrained,
        _import(pretrained, architecture),
        architecture,
        students,
        tokenizer,
        data,
        tuple(data.texts[i] for i in train),
        everything.at(train),
        judging,
        whole,
        validated,
        validation.sha256 if validation else None,
        unlabelled,
        longest,
        too_long,
        planned(options.wishes, lengths, len(labels), len(unlabelled.texts)),
        (
            *doubts_about_labels(data, options.data),
            *of_teacher,
            *_untaught(labels, data, options.data),
            *shared,
            *unlabelled.doubts,
        ),
    )


def _labels(
    options: Options, pretrained: Pretrained, files: Mapping[Path, Labelled]
) -> tuple[str, ...]:
    """The model's, which those of each file must be among."""
    teacher = pretrained.labels
    if not teacher:
        if options.label_map:
            raise NestlingError(
                f"label-map: {options.teacher} is an encoder without labels; the data's are learnt"
            )
        teacher = tuple(sorted(files[options.data].names))
        if not teacher:
            raise DataError(f"{options.data}: no text has a label; there is nothing to tell apart")
        if len(teacher) < 2:
            raise DataError(f"{options.data}: one label only; there is nothing to tell apart")
        return teacher
    if len(teacher) < 2:
        raise CheckpointError(pretrained.path, "one label only; there is nothing to tell apart")
    labels = teacher
    if options.label_map:
        mapped = read_label_map(options.label_map)
        named = [label for each in files.values() for label in each.names]
        labels = served_labels(teacher, named, mapped, options.label_map)
    for path, each in files.items():
        refuse_strangers(each, labels, teacher, path)
    return labels


def _architecture(pretrained: Pretrained, head: HeadSpec) -> Architecture:
    config = pretrained.path / "config.json"
    try:
        return family_of(pretrained.config).architecture(pretrained.config, head)
    except KeyError as error:
        raise CheckpointError(config, f"{error.args[0]}: missing") from error
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise CheckpointError(config, str(error)) from error


def _tokenizer(pretrained: Pretrained, a: Architecture) -> TextTokenizer:
    try:
        return TextTokenizer(pretrained.tokenizer, a.second_from)
    except ValueError as error:
        raise CheckpointError(pretrained.tokenizer, "is no tokenizer.json") from error


def _import(pretrained: Pretrained, architecture: Architecture) -> Weights:
    """Weights by our names, of the right shapes, all finite."""
    try:
        imported = family_of(pretrained.config).import_weights(pretrained.weights(), architecture)
    except KeyError as error:
        raise CheckpointError(pretrained.path, f"weight {error.args[0]}: missing") from error
    expected = _shapes(architecture)
    for name, weight in imported.items():
        if tuple(weight.shape) != expected[name]:
            raise CheckpointError(
                pretrained.path,
                f"weight {name}: shape {list(weight.shape)}, but config.json asks for "
                f"{list(expected[name])}",
            )
        if not weight.isfinite().all():
            raise CheckpointError(
                pretrained.path, f"weight {name}: is not finite; nothing can be learnt from it"
            )
    return imported


def _shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = NestedTransformer(architecture)
    return {name: tuple(p.shape) for name, p in model.state_dict().items()}


def _of_teacher(options: Options, pretrained: Pretrained, data: Labelled) -> list[str]:
    """A doubt where a teacher's logits may not be of several labels, each on its own.

    Raises NestlingError where they are not.
    """
    if not pretrained.labels or data.kind == "single_label":
        return []
    said = pretrained.config.get("problem_type")
    if said == "multi_label_classification":
        return []
    of = f"teacher: {options.teacher}: its config.json"
    if said is not None:
        raise NestlingError(
            f"{of} says {said!r:.64}, but the data have several labels a text; take a teacher of "
            "'multi_label_classification', or an encoder without a classifier"
        )
    return [f"{of} has no problem_type; its logits are taken to be of each label on its own"]


def _untaught(labels: Sequence[str], data: Labelled, path: Path) -> list[str]:
    missing = sorted(set(labels) - data.names.keys())
    return [f"{path}: no text of the teacher's {listed(missing)}"] if missing else []
