"""Shares of protocols, of batch sizes, of faults."""

from __future__ import annotations

from math import fsum

import numpy as np
from numpy.typing import NDArray

from ..errors import LoadtestError, check_above


def parse_mix(field: str, given: str) -> dict[str, float]:
    """`native` alone has the share 1; of `native=3,tei=1` the first has 0.75. Shares sum to 1.

    Raises LoadtestError that names the field.
    """
    weights = _parse(field, given, alone=1.0)
    whole = fsum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def parse_shares(field: str, given: str) -> dict[str, float]:
    """`slow=0.01,malformed=0.02`: shares of a whole, whose rest has no name.

    Raises LoadtestError that names the field.
    """
    shares = _parse(field, given, alone=None)
    if fsum(shares.values()) > 1:
        raise LoadtestError(f"{field}: {given!r} sums to more than 1")
    return shares


def _parse(field: str, given: str, alone: float | None) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in given.split(","):
        name, equals, number = part.strip().partition("=")
        if not name or name in weights or not (equals or alone):
            raise LoadtestError(f"{field}: {given!r} is not of the form NAME=SHARE,NAME=SHARE")
        try:
            weights[name] = float(number) if equals else alone or 0.0
        except ValueError as error:
            raise LoadtestError(f"{field}: {number!r}, of {name}, is no number") from error
        check_above(f"{field}, {name}", weights[name], 0)
    return weights


def draw(shares: dict[str, float], count: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """`count` random indices into the names, by their shares; the rest of the whole is -1."""
    limits = np.cumsum(list(shares.values()))
    if shares and limits[-1] > 1 - 1e-9:
        limits[-1] = 1.0
    chosen = np.searchsorted(limits, rng.random(count), side="right")
    return np.where(chosen < len(shares), chosen, -1).astype(np.int16)
