"""What a section has found so far, in a file that is whole at every moment.

Nothing that goes wrong in one cell or check ends a section: it is written down, and the next one
follows. A section that is killed leaves all that it had, marked as incomplete.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Named = tuple[str, Callable[[], Row]]

PASSED, FAILED, CUT_SHORT, INCOMPLETE, NOT_RUN = (
    "passed",
    "failed",
    "cut short",
    "incomplete",
    "not run",
)


class NotRunError(Exception):
    """Something that a section needs is not on this machine. Its message says what."""


class Record:
    """A section's file. Every row is printed, too."""

    def __init__(self, section: str, folder: Path, seconds: float, started: float) -> None:
        """seconds: after which no further row is begun, from `started` on (time.monotonic)."""
        self.section, self._seconds, self._started = section, seconds, started
        self.folder, self._file = folder, folder / f"{section}.json"
        self._left_out = 0
        self.failures: list[str] = []
        self.found: Row = {
            "section": section,
            "state": INCOMPLETE,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": f"python -m benchmarks.kernels {section}",
        }
        self.write()

    @property
    def left(self) -> float:
        """Seconds in which further rows may begin."""
        return self._seconds - (time.monotonic() - self._started)

    def note(self, **facts: Any) -> None:
        """Keep facts of the section as a whole."""
        self.found |= facts
        print(self.section, json.dumps(plain(facts)), flush=True)
        self.write()

    def rows(self, name: str, given: Iterable[Named]) -> None:
        """Run each while time is left, and keep its row in the list of that name.

        A row that has `passed` and is false, and one that raises, counts as a failure.
        """
        self.found.setdefault(name, [])
        for title, run in given:
            if self.left <= 0:
                self.leave_out(1)
                continue
            begun = time.monotonic()
            try:
                row = run()
            except Exception as error:  # whatever it is, the other rows are still to be had
                row = {"name": title, "error_message": self.failed(title, error)}
            row["took_seconds"] = round(time.monotonic() - begun, 3)
            self.keep(name, title, row)

    def keep(self, name: str, title: str, row: Row) -> None:
        """Put a row into the list of that name."""
        if not row.get("passed", True):
            self.fail(f"{title}: {row.get('error')} is beyond {row.get('bound')}")
        self.found.setdefault(name, []).append(row)
        print(self.section, name, title, json.dumps(plain(row)), flush=True)
        self.write()

    def leave_out(self, count: int) -> None:
        """Time was not enough for so many rows."""
        self._left_out += count

    def fail(self, message: str) -> None:
        """Something is wrong; the section goes on."""
        self.failures.append(message)
        print(f"{self.section} FAILED: {message}", flush=True)
        self.write()

    def failed(self, title: str, error: Exception) -> str:
        """The same by an exception; returns its message."""
        message = f"{type(error).__name__}: {error}"[:2000]
        self.fail(f"{title}: {message}")
        return message

    def finish(self) -> bool:
        """The section is through. Returns whether all of it was run, and right."""
        rest = CUT_SHORT if self._left_out else PASSED
        return self._end(FAILED if self.failures else rest)

    def not_run(self, why: str) -> bool:
        """The section cannot run here."""
        self.found["why"] = why
        return self._end(NOT_RUN)

    def _end(self, state: str) -> bool:
        self.found["state"] = state
        self.write()
        why = self.failures[:1] or [self.found.get("why", "")]
        print(f"{self.section}: {state} {why[0]}".rstrip(), flush=True)
        return state == PASSED

    def write(self) -> None:
        """Put the file in place in one step, so that who is killed leaves a whole one."""
        self.found |= {
            "seconds": round(time.monotonic() - self._started, 2),
            "left_out": self._left_out,
            "failures": self.failures,
        }
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(plain(self.found), indent=1) + "\n", "utf-8")
        part.replace(self._file)


def plain(value: Any) -> Any:
    """The same as JSON has it: no NaN and no infinity, which it has no words for."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
