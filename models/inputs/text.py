"""A text, or a pair of them: what is asked about, as one thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Text = str | tuple[str, str]
"""One text; or two that are asked about together, such as a sentence and what may follow from
it."""


def parts(text: Text) -> tuple[str, ...]:
    """One string, or two."""
    return (text,) if isinstance(text, str) else text


def characters(text: Text) -> int:
    """Of both texts of a pair."""
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])


def beginning(text: Text, most: int) -> Text:
    """At most so many characters of it; of a pair, of each."""
    return text[:most] if isinstance(text, str) else (text[0][:most], text[1][:most])


def joined(texts: Iterable[str]) -> Text:
    """One string, or two, as `parts` gives them. Raises ValueError for any other number."""
    first, *rest = texts
    if not rest:
        return first
    [second] = rest
    return first, second


def lengths(texts: Sequence[Text]) -> list[int]:
    """Characters of each; either all are pairs, or none."""
    of_pairs = bool(texts) and isinstance(texts[0], tuple)
    return list(map(characters if of_pairs else len, texts))
