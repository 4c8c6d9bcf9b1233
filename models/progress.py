"""How work that takes long says how far it is; the command line shows it."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """What long work reports to. This one shows nothing, which is right for a library's caller, and
    for all processes of a run but the first.
    """

    def note(self, text: str) -> None:
        """A line that stays."""

    def step(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        detail: Callable[[], str] | None = None,
    ) -> None:
        """So much of a phase is done; a phase begins with its first step, best at 0.

        total: 0 where it is not known. detail: more about it, called only when it is shown.
        """


SILENT = Progress()
