"""Shows the progress of a command: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, RLock, Thread
from types import TracebackType
from typing import TYPE_CHECKING

from ..models.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

EVERY = 3.0
"""Seconds between two lines, whether or not a step was finished meanwhile."""
TICK = 0.5

Say = Callable[[str], None]
Detail = Callable[[], str]


def is_first_process() -> bool:
    """Whether this is the process of a run that talks: `accelerate launch` numbers them in RANK."""
    return os.environ.get("RANK", "0") == "0"


class ProgressDisplay(Progress):
    """A context that shows how far a command is; on stderr, so that stdout is the result alone.

    Of several processes of a run, the first one shows it. A phase that ends sooner than `EVERY`
    seconds leaves no line. say: where lines go instead of
    stderr, such as a log. prefix: before the name of each phase.
    """

    def __init__(self, say: Say | None = None, prefix: str = "") -> None:
        self._prefix = prefix
        self._say = say or _to_stderr
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._lock = RLock()
        self._ended = Event()
        self._thread = Thread(target=self._tick, name="progress", daemon=True)
        self._phase, self._done, self._total = "", 0, 0
        self._first = 0  # done when the phase began, as of a run that goes on
        self._detail: Detail | None = None
        self._started = self._began = self._said = time.monotonic()
        self._terminal = say is None and sys.stderr.isatty()

    def __enter__(self) -> ProgressDisplay:
        if not is_first_process():
            return self
        if self._terminal:
            self._bar = _bar()
            self._bar.start()
        else:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._bar:
            self._bar.stop()
        elif self._thread.is_alive():
            self._thread.join()

    def note(self, text: str) -> None:
        """Print a line that stays."""
        with self._lock:
            if self._bar:
                self._bar.console.print(text, highlight=False, markup=False)
            else:
                self._print(text)

    def step(self, phase: str, done: int = 0, total: int = 0, detail: Detail | None = None) -> None:
        """Report how much of a phase is done; a new name begins a phase."""
        with self._lock:
            now = time.monotonic()
            phase = self._prefix + phase
            if phase != self._phase:
                self._phase, self._began, self._task = phase, now, None
                self._first = done
            self._done, self._total, self._detail = done, total, detail
            if self._bar:
                self._draw(self._bar, now)
            elif now - self._said >= EVERY:
                self._print(self._line(now))

    def _tick(self) -> None:
        while not self._ended.wait(TICK):
            with self._lock:
                now = time.monotonic()
                if self._phase and now - self._said >= EVERY:
                    self._print(self._line(now))

    def _line(self, now: float) -> str:
        so_far = f"{now - self._started:.0f} s so far"
        if not self._total:
            parts = [f"{self._phase}: {so_far}"]
        elif self._done <= self._first:
            parts = [f"{self._phase}: {self._done:,} of {self._total:,}", so_far]
        else:
            per_step = (now - self._began) / (self._done - self._first)
            left = per_step * (self._total - self._done)
            parts = [
                f"{self._phase}: {self._done:,} of {self._total:,}",
                f"about {left:.0f} s left",
            ]
        if self._detail:
            parts.append(self._detail())
        return ", ".join(parts)

    def _print(self, text: str) -> None:
        self._said = time.monotonic()
        self._say(text)

    def _draw(self, bar: Bar, now: float) -> None:
        if self._task is None:
            for shown in bar.task_ids:
                bar.remove_task(shown)
            self._task = bar.add_task(self._phase, total=self._total or None, detail="")
        if now - self._said < 1 / 10 and self._done < self._total:
            return  # the detail may have to wait for a GPU
        self._said = now
        bar.update(
            self._task,
            completed=self._done,
            total=self._total or None,
            detail=self._detail() if self._detail else "",
        )


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import MofNCompleteColumn as Count
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        Count(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )


def _to_stderr(text: str) -> None:
    """Print a line. The work goes on even if nobody reads stderr, as after `2>&1 | head`."""
    with suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)
