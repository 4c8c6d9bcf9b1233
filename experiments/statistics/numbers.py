"""Numbers as sentences say them."""

from __future__ import annotations

from math import ceil, log10

from ..metrics import Kind


def amount(value: float, kind: Kind) -> str:
    """A rate in percent, another mean as it is."""
    return f"{100 * value:.4g} %" if kind is Kind.RATE else f"{value:.4g}"


def bare(value: float, kind: Kind, sign: str = "+") -> str:
    """A difference without its unit. sign: `+` shows it always."""
    return f"{100 * value:{sign}.3g}" if kind is Kind.RATE else f"{value:{sign}.4g}"


def difference(value: float, kind: Kind, sign: str = "") -> str:
    """Of two rates in percentage points."""
    return bare(value, kind, sign) + (" points" if kind is Kind.RATE else "")


def about(units: float) -> int:
    """Rounded up to two digits, as an expectation deserves."""
    if units <= 0:
        return 0
    digit = 10.0 ** max(0, int(log10(units)) - 1)
    return int(ceil(units / digit) * digit)
