"""Whoever runs a load test hears how far it is: the load test knows nothing of who that is."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Is told what is done next, and what was measured."""

    def note(self, text: str) -> None:
        """A line that stays."""

    def step(self, phase: str) -> None:
        """What is done next."""


class Nobody:
    """Watches, and shows nothing."""

    def note(self, text: str) -> None:
        pass

    def step(self, phase: str) -> None:
        pass


NOBODY = Nobody()
