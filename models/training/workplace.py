"""The folder beside a training's output in which it keeps what took long, until it is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_file
from torch import Tensor

from ..errors import NestlingError, NotFiniteError
from .states import write_tensors

SETTINGS = "settings.json"


class Workplace:
    """`<out>.training/`. All processes of a run call its methods together.

    settings: what decides the result; equal settings may resume each other.
    Raises NestlingError for a folder that a run with other settings has left.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], accelerator: Accelerator) -> None:
        self.path, self._accelerator = path, accelerator
        text = json.dumps(settings, indent=1)
        file = path / SETTINGS
        if file.exists():
            before, now = json.loads(file.read_text("utf-8")), json.loads(text)
            if other := [name for name in now if before.get(name) != now[name]]:
                raise NestlingError(
                    f"{path}: left by a run with other settings ({', '.join(other)}); remove it to "
                    "start anew"
                )
        elif accelerator.is_main_process:
            path.mkdir(parents=True, exist_ok=True)
            _write(file, text)
        accelerator.wait_for_everyone()

    def weights(self, name: str, build: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What `build` gives, as an earlier run left it if one did."""
        path = self.path / f"{name}.safetensors"
        missing = not path.exists()
        self._accelerator.wait_for_everyone()  # all have looked before the first one writes
        if missing:
            weights = build()
            if self._accelerator.is_main_process:
                write_tensors(path, weights)
            self._accelerator.wait_for_everyone()
        return load_file(path)

    def decision(self, name: str, decide: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What the first process decides, or an earlier run has decided: the machine was asked."""
        file = self.path / f"{name}.json"
        told: list[dict[str, Any]] = [{}]
        if self._accelerator.is_main_process:
            if not file.exists():
                _write(file, json.dumps(decide()))
            told = [json.loads(file.read_text("utf-8"))]
        broadcast_object_list(told)
        return told[0]

    @contextmanager
    def unless_broken(self) -> Iterator[None]:
        """Where numbers are no longer finite, all of it goes: going on from there would end there
        again. Raises NotFiniteError that says so.
        """
        try:
            yield
        except NotFiniteError as error:
            if self._accelerator.is_main_process:
                shutil.rmtree(self.path)
            raise NotFiniteError(f"{error}. No checkpoint is written, no state kept") from error

    def remove(self) -> None:
        if self._accelerator.is_main_process:
            shutil.rmtree(self.path)
        self._accelerator.wait_for_everyone()


def _write(file: Path, text: str) -> None:
    temporary = file.with_suffix(".unfinished")
    temporary.write_text(text, "utf-8")
    temporary.replace(file)
