"""Errors that a user can fix."""

from __future__ import annotations

from math import isfinite


class LoadtestError(Exception):
    """The input cannot be used, or a measurement must not be reported; the message says why."""


class FellBehindError(LoadtestError):
    """The client was late: the numbers would be its own, not the server's."""


def check_above(field: str, value: float, limit: float) -> None:
    """Raises LoadtestError unless value is finite and above the limit."""
    if not (isfinite(value) and value > limit):
        raise LoadtestError(f"{field}: {value:g} is not a finite number above {limit:g}")


def check_at_least(field: str, value: float, limit: float) -> None:
    """Raises LoadtestError unless value is finite and the limit or above."""
    if not (isfinite(value) and value >= limit):
        raise LoadtestError(f"{field}: {value:g} is not a finite number of {limit:g} or more")
