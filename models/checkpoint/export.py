"""A student alone: a plain Hugging Face directory that `transformers` loads without our code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from ..cascade.policy import Student
from ..errors import NestlingError
from ..families import named
from ..nested.head_spec import HeadSpec
from ..nested.shapes import head_weight
from .card import model_card
from .integrity import new_directory
from .manifest import CONFIG, TOKENIZER, WEIGHTS, Manifest

if TYPE_CHECKING:
    from torch import Tensor

    from .load import Checkpoint

SPECIAL_TOKENS = {
    "unk_token": ("[UNK]", "<unk>"),
    "sep_token": ("[SEP]", "</s>"),
    "cls_token": ("[CLS]", "<s>"),
    "mask_token": ("[MASK]", "<mask>"),
}
"""Roles that a Hugging Face tokenizer names, and the tokens that BERT and RoBERTa use."""
INPUTS = ("input_ids", "attention_mask")
README = "README.md"
RUN = """\
import sys
from transformers import pipeline

classify = pipeline("text-classification", model=".", device="cpu")
{loop}
"""
TEXTS = """\
for text in sys.argv[1:] or ["how do i say goodbye in french"]:"""
PAIRS = """\
given = sys.argv[1:] or ["a man plays the guitar", "somebody makes music"]
for pair in zip(given[::2], given[1::2]):"""
"""A program for the export's README; it has nothing but `transformers`."""
ONE = """\
    (answer,) = classify([{asked}], truncation=True)
    print(f"{{answer['score']:.6f}}  {{answer['label']}}  {{{shown}}}")
"""
SEVERAL = """\
    (answer,) = classify([{asked}], truncation=True, top_k=None)
    held = [each for each in answer if each["score"] >= 0.5]
    scores = " ".join(f"{{each['score']:.6f}}" for each in held)
    print(f"{{scores}}  {{' '.join(each['label'] for each in held)}}  {{{shown}}}")
"""
"""What it does with a text of which one label holds, or any number."""


def export(checkpoint: Checkpoint, student: str, path: str | Path) -> None:
    """Write config, weights, tokenizer and README under another name, then rename.

    The student's temperature is folded into the classifier's weights, so the softmax of its logits
    (their sigmoids, where several labels may hold) has the probabilities with which the student is
    served. The config says so under `nestling`.
    Raises NestlingError for an unknown student, for a path that exists, and for a student whose
    widths a Hugging Face config cannot say.
    """
    from .save import write_weights

    path = Path(path)
    chosen = chosen_student(checkpoint, student)
    family = named(checkpoint.architecture.family)
    with new_directory(path) as temporary:
        head = checkpoint.architecture.head()
        weights = _calibrated(checkpoint.model.state_dict(), head.name, chosen.temperature)
        try:
            tensors = family.export(weights, chosen.spec, checkpoint.architecture)
        except ValueError as error:
            raise NestlingError(f"student {student!r} cannot be exported: {error}") from error
        config = config_of(checkpoint, chosen)
        write_json(temporary / CONFIG, config)
        write_weights({n: t.cpu() for n, t in tensors.items()}, temporary / WEIGHTS)
        # Without types, `transformers` would take both texts of a pair for the first.
        typed = checkpoint.architecture.token_types > 1
        inputs = (*INPUTS, "token_type_ids") if typed else INPUTS
        write_tokenizer(checkpoint, config, inputs, temporary)
        program = _program(head)
        packages = "torch transformers"
        card = model_card(checkpoint, chosen, "float32", "transformers", packages, program)
        (temporary / README).write_text(card, "utf-8")


def _program(head: HeadSpec) -> str:
    body = SEVERAL if head.task == "multi_label" else ONE
    if head.inputs == "pair":
        asked, shown = 'dict(zip(("text", "text_pair"), pair))', "' | '.join(pair)"
        return RUN.format(loop=PAIRS) + body.format(asked=asked, shown=shown)
    return RUN.format(loop=TEXTS) + body.format(asked="text", shown="text")


def chosen_student(checkpoint: Manifest, name: str) -> Student:
    """A student by name. Raises NestlingError that lists the known."""
    if name not in checkpoint.students:
        known = ", ".join(checkpoint.students)
        raise NestlingError(f"student: {name!r} is none of {known}")
    return checkpoint.students[name]


def config_of(checkpoint: Manifest, student: Student) -> dict[str, Any]:
    """Hugging Face's config of a student; under `nestling`, whose it is.

    That is its name, its widths, the temperature in its classifier, the TA's weights.
    """
    config = named(checkpoint.architecture.family).config(student.spec, checkpoint.architecture)
    config["nestling"] = {
        "extracted_student": student.name,
        "spec": student.spec.to_json(),
        "temperature_folded_in": student.temperature,
        "weights_sha256": checkpoint.weights_sha256,
    }
    return config


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a file that tools of others read: indented, UTF-8."""
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")


def write_tokenizer(
    checkpoint: Manifest, config: dict[str, Any], inputs: Sequence[str], directory: Path
) -> None:
    """Write tokenizer.json, and what it does not say: roles of tokens, and the longest input.

    inputs: that the model takes.
    """
    shutil.copyfile(checkpoint.path / TOKENIZER, directory / TOKENIZER)
    tokenizer = Tokenizer.from_file(str(checkpoint.path / TOKENIZER))
    roles = {"pad_token": tokenizer.id_to_token(config["pad_token_id"])}
    for role, names in SPECIAL_TOKENS.items():
        for name in names:
            if tokenizer.token_to_id(name) is not None:
                roles[role] = name
    more = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": checkpoint.architecture.max_tokens,
        "model_input_names": list(inputs),
        "padding_side": "right",
        **roles,
    }
    write_json(directory / "tokenizer_config.json", more)


def _calibrated(weights: dict[str, Tensor], head: str, temperature: float) -> dict[str, Tensor]:
    """The TA's weights with a head whose logits are divided by a temperature."""
    names = [head_weight(head, f"classifier.{kind}") for kind in ("weight", "bias")]
    return weights | {name: weights[name].float() / temperature for name in names}
