"""The comparison as a table, such as docs/recipe.md can have it."""

from __future__ import annotations

from typing import Any

from ...markup import percent, table

HEAD = "set | trained | student | accuracy | against the recipe | accepted | against the recipe"


def rows_of(results: list[dict[str, Any]]) -> list[str]:
    """What each variant gives its students, and how much more than what it is compared with: the
    lines of the table, one for each set, variant and student.
    """
    rows = []
    for line in results:
        rows.append(
            [
                line["set"],
                line["says"],
                f"`{line['student']}`",
                percent(line["accuracy"]),
                _more(line, "accuracy"),
                percent(line["accepted"]),
                _more(line, "accepted"),
            ]
        )
    return table(HEAD, rows)


def _more(line: dict[str, Any], measure: str) -> str:
    """Points, with the interval; bold where that does not hold 0."""
    if f"{measure}_more" not in line:
        return ""
    low, high = line[f"{measure}_interval"]
    ends = f"({100 * low:+.1f} to {100 * high:+.1f})"
    points = f"{100 * line[f'{measure}_more']:+.1f}"
    resolved = low > 0 or high < 0
    return f"**{points}** {ends}" if resolved else f"{points} {ends}"
