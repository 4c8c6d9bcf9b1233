"""States of a training on disk: those that a killed run goes on from, and the one that is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .best import Best

STATE = "step-"
KEPT = "kept-"
SEEN = "seen.json"


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Whole or not at all."""
    temporary = path.with_suffix(".unfinished")
    save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, temporary)
    temporary.replace(path)


class States:
    """A phase's states in a folder of its own. All processes call its methods together."""

    def __init__(self, accelerator: Accelerator, directory: Path, best: Best) -> None:
        self._accelerator, self._directory, self._best = accelerator, directory, best

    def resume(self) -> int:
        """Load the last whole state, and into `best` what was seen by then; its steps, or 0."""
        states = sorted(self._directory.glob(STATE + "*"), key=_steps_of)
        if not states:
            return 0
        self._accelerator.load_state(str(states[-1]))
        self._best.load(json.loads((states[-1] / SEEN).read_text("utf-8")))
        return _steps_of(states[-1])

    def save(self, step: int) -> None:
        """Write a state under a temporary name, rename it, and only then remove the older ones."""
        temporary = self._directory / "unfinished"
        if self._accelerator.is_main_process:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        self._accelerator.wait_for_everyone()
        self._accelerator.save_state(str(temporary))
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            (temporary / SEEN).write_text(json.dumps(asdict(self._best)), "utf-8")
            older = list(self._directory.glob(STATE + "*"))
            temporary.rename(self._directory / f"{STATE}{step}")
            for state in older:
                shutil.rmtree(state)
            for weights in self._directory.glob(KEPT + "*"):
                if weights != self._kept():
                    weights.unlink()
        self._accelerator.wait_for_everyone()

    def keep(self, module: nn.Module) -> None:
        """Write the weights of the step that `best` has just chosen."""
        if self._accelerator.is_main_process:
            self._directory.mkdir(parents=True, exist_ok=True)
            write_tensors(self._kept(), module.state_dict())
        self._accelerator.wait_for_everyone()

    def load_kept(self, module: nn.Module) -> None:
        module.load_state_dict(load_file(self._kept()))

    def _kept(self) -> Path:
        return self._directory / f"{KEPT}{self._best.kept}.safetensors"


def _steps_of(state: Path) -> int:
    return int(state.name.removeprefix(STATE))
