"""A student alone: a plain Hugging Face directory that `transformers` loads without our code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from .cascade import Student
from .checkpoint import Checkpoint, write_weights
from .errors import NestlingError
from .families import named
from .integrity import new_directory
from .manifest import TOKENIZER, WEIGHTS

SPECIAL_TOKENS = {
    "unk_token": ("[UNK]", "<unk>"),
    "sep_token": ("[SEP]", "</s>"),
    "cls_token": ("[CLS]", "<s>"),
    "mask_token": ("[MASK]", "<mask>"),
}
"""Roles that a Hugging Face tokenizer names, and the tokens that BERT and RoBERTa use."""


def export(checkpoint: Checkpoint, student: str, path: str | Path) -> None:
    """Write a student's config, weights and tokenizer under another name, then rename.

    The config says whose student it is, under `nestling`. Its temperature is not part of a
    Hugging Face config and is kept there too.
    Raises NestlingError for an unknown student, for a path that exists, and for a student whose
    widths a Hugging Face config cannot say.
    """
    path = Path(path)
    chosen = chosen_student(checkpoint, student)
    with new_directory(path) as temporary:
        weights = checkpoint.model.state_dict()
        try:
            family = named(checkpoint.architecture.family)
            config, tensors = family.export(weights, chosen.spec, checkpoint.architecture)
        except ValueError as error:
            raise NestlingError(f"student {student!r} cannot be exported: {error}") from error
        config["nestling"] = provenance(checkpoint, chosen)
        write_json(temporary / "config.json", config)
        write_weights({n: t.cpu() for n, t in tensors.items()}, temporary / WEIGHTS)
        shutil.copyfile(checkpoint.path / TOKENIZER, temporary / "tokenizer.json")
        write_json(temporary / "tokenizer_config.json", _tokenizer_config(checkpoint, config))


def chosen_student(checkpoint: Checkpoint, name: str) -> Student:
    """A student by name. Raises NestlingError that lists the known."""
    if name not in checkpoint.students:
        known = ", ".join(checkpoint.students)
        raise NestlingError(f"student: {name!r} is none of {known}")
    return checkpoint.students[name]


def provenance(checkpoint: Checkpoint, student: Student) -> dict[str, Any]:
    """Whose student an export is: its name, its widths, its temperature, the TA's weights."""
    return {
        "extracted_student": student.name,
        "spec": student.spec.to_json(),
        "temperature": student.temperature,
        "weights_sha256": checkpoint.weights_sha256,
    }


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a file that tools of others read: indented, UTF-8."""
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _tokenizer_config(checkpoint: Checkpoint, config: dict[str, Any]) -> dict[str, Any]:
    """What tokenizer.json does not say: the roles of special tokens, and the longest input."""
    tokenizer = Tokenizer.from_file(str(checkpoint.path / TOKENIZER))
    roles = {"pad_token": tokenizer.id_to_token(config["pad_token_id"])}
    for role, names in SPECIAL_TOKENS.items():
        for name in names:
            if tokenizer.token_to_id(name) is not None:
                roles[role] = name
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": checkpoint.architecture.max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        **roles,
    }
