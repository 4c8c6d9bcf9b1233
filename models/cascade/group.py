"""What a promise to each of several groups rests on, group by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NUMBERS = ("examples", "ordering_examples", "losses", "recovered")


@dataclass(frozen=True)
class GroupEvidence:
    """One group. name: its value in the column. examples: its texts that tested. ordering_examples:
    those that ordered the tests. losses, recovered: how many of those that tested were lost, and,
    of a net risk, how many were recovered. observed_risk: the share of those less these.
    """

    name: str
    examples: int
    ordering_examples: int
    losses: int
    recovered: int
    observed_risk: float

    @classmethod
    def of(
        cls, name: str, examples: int, ordering_examples: int, losses: int, recovered: int = 0
    ) -> GroupEvidence:
        """With its observed risk."""
        risk = (losses - recovered) / examples
        return cls(name, examples, ordering_examples, losses, recovered, risk)

    @classmethod
    def from_json(cls, data: Any) -> GroupEvidence:
        """Raises ValueError for what is no group's evidence."""
        try:
            name, numbers = data["name"], [data[each] for each in NUMBERS]
        except (TypeError, KeyError) as error:
            raise ValueError(f"group {str(data)[:64]!r}: lacks its name or numbers") from error
        examples, ordering, losses, recovered = numbers
        whole = all(type(number) is int and number >= 0 for number in numbers)
        possible = whole and losses + recovered <= examples and examples
        if not isinstance(name, str) or not possible:
            said = ", ".join(str(number)[:32] for number in numbers)
            raise ValueError(f"group {str(name)[:64]!r}: {', '.join(NUMBERS)}: {said} cannot be")
        return cls.of(name, examples, ordering, losses, recovered)
