"""The comparison as tables, such as docs/recipe.md has them: a row per idea, a column per student
of each data set.
"""

from __future__ import annotations

from typing import Any

from ...markup import percent, table

Line = dict[str, Any]


def rows_of(results: list[Line]) -> list[str]:
    """Each reference, and below it how many points more accuracy its variants give to the same
    students.
    """
    by_reference: dict[str, list[Line]] = {}
    for line in results:
        by_reference.setdefault(line["against"] or line["variant"], []).append(line)
    first, *others = map(_compared, by_reference.values())
    return [*first, *(line for lines in others for line in ("", *lines))]


def _compared(lines: list[Line]) -> list[str]:
    columns = list(dict.fromkeys((line["set"], line["student"]) for line in lines))
    rows = []
    for variant in dict.fromkeys(line["variant"] for line in lines):
        own = {(e["set"], e["student"]): e for e in lines if e["variant"] == variant}
        says = next(iter(own.values()))["says"]
        rows.append([says, *(_cell(own.get(column)) for column in columns)])
    head = " | ".join(["trained", *(f"{data}: `{student}`" for data, student in columns)])
    return table(head, rows)


def _cell(line: Line | None) -> str:
    """A reference's accuracy; else the points more with their interval, in bold where that does not
    hold 0.
    """
    if line is None:
        return ""
    if "accuracy_more" not in line:
        return percent(line["accuracy"])
    low, high = line["accuracy_interval"]
    ends = f"({100 * low:+.1f} to {100 * high:+.1f})"
    points = f"{100 * line['accuracy_more']:+.1f}"
    return f"**{points}** {ends}" if low > 0 or high < 0 else f"{points} {ends}"
