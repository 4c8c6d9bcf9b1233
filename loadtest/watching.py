"""The progress of a load test, for whoever runs it."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Is told what is done next, and what has been measured."""

    def note(self, text: str) -> None:
        """A line that stays."""

    def step(self, phase: str) -> None:
        """What is done next."""


class Nobody:
    """A watcher that shows nothing."""

    def note(self, text: str) -> None:
        pass

    def step(self, phase: str) -> None:
        pass


NOBODY = Nobody()
