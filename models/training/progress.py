"""What a training run shows: a progress bar with loss and accuracies, or lines in a log."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

LOG_EVERY = 50


class Progress:
    """A context that shows the steps of each phase; silent where `visible` is false."""

    def __init__(self, visible: bool = True) -> None:
        self._console = Console(stderr=True, quiet=not visible)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=self._console,
            disable=not (visible and self._console.is_terminal),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self, phase: str, done: int, total: int, losses: Mapping[str, Tensor]) -> None:
        """A step is done."""
        if phase not in self._tasks:
            self._tasks[phase] = self._bar.add_task(phase, total=total, loss="")
        if done % LOG_EVERY == 0 or done == total:
            text = "  ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
            self._bar.update(self._tasks[phase], completed=done, loss=f"loss: {text}")
            if not self._console.is_terminal:
                self.note(f"{phase} {done}/{total}  loss: {text}")

    def accuracy(self, accuracies: Mapping[str, float]) -> None:
        """Validation accuracy of each student."""
        text = "  ".join(f"{name} {100 * value:.2f} %" for name, value in accuracies.items())
        self.note(f"validation accuracy: {text}")
