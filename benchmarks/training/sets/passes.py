"""One way through a data set: train, calibrate, evaluate, each as a user would, in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestling.models.checkpoint.manifest import Manifest, read_manifest
from nestling.models.progress import Progress

from .process import Finished, Installation, once
from .texts import CALIBRATION, TEST, TRAIN, shortened

ALPHAS = (0.005, 0.01, 0.02)
"""Accuracy that the cascades may lose."""
DROP, NET = "drop", "net"
"""What counts as lost: texts that break; or those less what recovers, which is accuracy itself."""
USER_ERROR = 2
NONE_FOUND = ("no thresholds keep", "no cascade is cheaper", "are too few to show")
"""What `nestling calibrate` says where no cascade keeps the promise on these texts."""


@dataclass(frozen=True)
class Pass:
    """folder: of this way, inside that of the texts. by: who runs the commands. validation: whether
    training asks for texts whose accuracy it shows, which versions before this one do.
    """

    folder: Path
    by: Installation
    validation: bool
    progress: Progress

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    def train(self, teacher: str) -> Finished:
        """The command that the docs have, with no option that tunes anything."""
        texts = self.folder.parent
        arguments: list[str | Path] = ["--teacher", teacher, "--data", texts / f"{TRAIN}.jsonl"]
        if self.validation:
            arguments += ["--validation", texts / f"{CALIBRATION}.jsonl"]
        return self._run(
            "train", "train", *arguments, "--out", self.checkpoint, made=self.checkpoint
        )

    def manifest(self) -> Manifest:
        """Of what was trained."""
        return read_manifest(self.checkpoint)

    def shorten(self) -> dict[str, int]:
        """Write the texts that calibrate and test so that the checkpoint takes them; how many were
        cut.
        """
        limit = self.manifest().architecture.max_tokens
        tokenizer = self.checkpoint / "tokenizer.json"
        return {
            part: shortened(self.folder.parent / f"{part}.jsonl", self.file(part), tokenizer, limit)
            for part in (CALIBRATION, TEST)
        }

    def file(self, part: str) -> Path:
        """The texts that calibrate or test, as the commands get them."""
        return self.folder / f"{part}.jsonl"

    def calibrate(self, alpha: float, loss: str) -> str | None:
        """Add the cascade of a promise. Returns why there is none, if so."""
        name = f"calibrate-{loss}-{alpha:g}"
        arguments: list[str | Path] = [self.checkpoint, "--data", self.file(CALIBRATION)]
        arguments += ["--max-drop", f"{alpha:g}"]
        if loss != DROP:
            arguments += ["--loss", loss]
        ended = self._run(name, "calibrate", *arguments, expected=_found_or_none)
        return ended.error.removeprefix("nestling: ") if ended.status else None

    def evaluate(self) -> dict[str, dict[str, Any]]:
        """Every policy on the texts that test, by name; their times are of no use here."""
        timing = ("--sample", "32", "--repeats", "2")
        arguments = (self.checkpoint, "--data", self.file(TEST), *timing, "--json")
        ended = self._run("evaluate", "evaluate", *arguments)
        policies: list[dict[str, Any]] = json.loads(ended.out)["policies"]
        return {each["name"]: each for each in policies}

    def _run(
        self,
        name: str,
        command: str,
        *arguments: str | Path,
        expected: Callable[[Finished], bool] = lambda ended: ended.status == 0,
        made: Path | None = None,
    ) -> Finished:
        self.folder.mkdir(parents=True, exist_ok=True)
        line, environment = self.by.nestling(command, *arguments), self.by.environment()
        return once(name, line, self.folder, environment, self.progress, expected, made)


def _found_or_none(ended: Finished) -> bool:
    none = ended.status == USER_ERROR and any(each in ended.error for each in NONE_FOUND)
    return ended.status == 0 or none
