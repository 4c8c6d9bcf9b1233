"""Hugging Face checkpoints, from a directory or the Hub, read without `transformers`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from ..errors import CheckpointError, NestlingError

if TYPE_CHECKING:
    from torch import Tensor

HUB_ID = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?")
"""What may be looked for on the Hub: NAME or OWNER/NAME; anything else can only be a path."""
FILES = ["*.json", "*.safetensors", "*.txt"]
"""What a checkpoint needs; other formats of the same weights are left on the Hub."""


def find(name: str | Path) -> Path:
    """A directory as it is, or a Hub id downloaded to the local cache.

    Raises NestlingError if it is neither; the Hub is asked only for what may be an id.
    """
    path = Path(name)
    if path.is_dir():
        return path
    if path.exists():
        raise NestlingError(f"{name}: is a file, not a directory")
    if not HUB_ID.fullmatch(str(name)):
        raise NestlingError(f"{name}: no such directory")
    from huggingface_hub import snapshot_download  # heavy: no directory pays for it

    try:
        return Path(snapshot_download(str(name), allow_patterns=FILES))
    except Exception as error:  # many kinds: no such id, no network, no access
        raise NestlingError(f"{name}: no such directory, and {_why(error)}") from error


def _why(error: Exception) -> str:
    """What the Hub said, in a few words."""
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return "the Hugging Face Hub gives it only to those whom its owner has let in"
    if isinstance(error, RepositoryNotFoundError):
        return "the Hugging Face Hub has no such model, or it is private"
    if isinstance(error, LocalEntryNotFoundError | OSError):
        return "the Hugging Face Hub, which might have it, cannot be reached"
    return f"the Hugging Face Hub says: {str(error).partition(chr(10))[0]}"


@dataclass(frozen=True)
class Pretrained:
    """A Hugging Face checkpoint: its config, its tokenizer.json, its weights once asked for."""

    path: Path
    config: dict[str, Any]

    @classmethod
    def at(cls, path: Path) -> Pretrained:
        """Raises CheckpointError if the directory holds none."""
        for name in ("config.json", "tokenizer.json"):
            if not (path / name).is_file():
                raise CheckpointError(path / name, "missing")
        try:
            config = json.loads((path / "config.json").read_text("utf-8"))
        except ValueError as error:
            raise CheckpointError(path / "config.json", f"not JSON ({error})") from error
        if not isinstance(config, dict):
            raise CheckpointError(path / "config.json", "not an object of fields and values")
        return cls(path, config)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits; empty for an encoder without a classifier.

        Raises CheckpointError for names that do not count from 0, or of which two are the same.
        """
        if not any("SequenceClassification" in a for a in self.config.get("architectures") or ()):
            return ()
        names = self.config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
        ids = [str(index) for index in range(len(names))]
        if not isinstance(names, dict) or sorted(names) != sorted(ids):
            raise CheckpointError(
                self.path / "config.json",
                f"id2label: does not name the classes 0 to {len(ids) - 1}",
            )
        labels = tuple(str(names[index]) for index in ids)
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise CheckpointError(
                self.path / "config.json", f"id2label: {twice[0]!r} is the name of two classes"
            )
        return labels

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer.json"

    def weights(self) -> dict[str, Tensor]:
        """All tensors, of one file or of several. Raises CheckpointError without a whole one."""
        from safetensors.torch import load_file  # with torch, which finding a checkpoint needs not

        files = sorted(self.path.glob("*.safetensors"))
        if not files:
            raise CheckpointError(self.path / "model.safetensors", "missing")
        weights: dict[str, Tensor] = {}
        for file in files:
            try:
                weights |= load_file(file)
            except SafetensorError as error:
                raise CheckpointError(file, f"not safetensors ({error})") from error
        return weights
