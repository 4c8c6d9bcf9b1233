"""TextGroups that have too few texts for a promise, found before any model runs."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DataError
from .groups import TextGroups, named
from .risk import fewest_examples
from .sizes import fewest_ordering, texts_in_all


@dataclass(frozen=True)
class Lack:
    """A group with fewer texts than it takes even without a single loss."""

    name: str
    texts: int
    needed: int

    @property
    def missing(self) -> int:
        return self.needed - self.texts


def texts_of_a_group(groups: int, alpha: float, confidence: float) -> int:
    """The fewest texts with which one of so many groups can show the risk, if none is lost."""
    return texts_in_all(fewest_examples(0, alpha, confidence), fewest_ordering(groups))


def lacking(groups: TextGroups, alpha: float, confidence: float) -> list[Lack]:
    """The groups that have too few, in the order of their names."""
    needed = texts_of_a_group(len(groups.names), alpha, confidence)
    sizes = zip(groups.names, groups.sizes, strict=True)
    return [Lack(name, size, needed) for name, size in sizes if size < needed]


def check_enough_of_each(groups: TextGroups, alpha: float, confidence: float) -> None:
    """Raises DataError that names every group with too few texts, and how many are missing."""
    if not (found := lacking(groups, alpha, confidence)):
        return
    each = ", ".join(f"{named(lack.name)} has {lack.texts:,}" for lack in found)
    raise DataError(
        f"by: {len(found)} of {len(groups.names)} groups of the column {groups.column!r} have too "
        f"few examples to show a risk of at most {alpha:.2%} with {confidence:.0%} confidence, "
        f"even without a single loss: it takes {found[0].needed:,} of each, "
        f"{sum(lack.missing for lack in found):,} more in all; {each}"
    )
