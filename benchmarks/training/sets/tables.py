"""The tables of docs/datasets.md, made from datasets.json.

Not a benchmark itself. A cell is blank where that was not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...markup import measured, percent, table
from .passes import ALPHAS
from .texts import CALIBRATION, TEST, TRAIN

Row = dict[str, Any]


def rows() -> list[Row]:
    """A row per set."""
    found: list[Row] = measured("datasets")["sets"]
    return found


def texts() -> list[str]:
    """What there is of each set, and the anchor that needs no transformer."""
    cells = []
    for row in rows():
        count, anchor = row["texts"], row["tfidf"]
        sizes = [f"{count[part]:,}" for part in (TRAIN, CALIBRATION, TEST)]
        cells.append(
            [
                f"`{row['set']}`",
                *sizes,
                str(count["labels"]),
                percent(anchor["accuracy"]),
                percent(anchor["answered"]),
            ]
        )
    head = "set | train | calibrate | test | labels | TF-IDF: accuracy | answers at 0.5 % error"
    return table(head, cells)


def students() -> list[str]:
    """Accuracy of teacher, TA and students, what the training took, and the most of one process."""
    cells = []
    for row in trained_rows():
        now = row["now"]
        held, spent = held_out(row), now["train"]
        parts = ("teacher_accuracy", "ta_accuracy")
        apart = [percent(held[part]) if held else "" for part in parts]
        names = dict(sorted(now["students"].items(), key=lambda each: each[1]["cost"]))
        ta = names.pop("ta")
        below = [f"{name} {percent(each['accuracy'])}" for name, each in names.items()]
        cells.append(
            [
                f"`{row['set']}`",
                *apart,
                percent(ta["accuracy"]),
                ", ".join(below),
                minutes(spent),
                f"{spent['peak_mib']:,.0f}" if spent["peak_mib"] else "",
            ]
        )
    head = (
        "set | teacher, held out | TA, held out | TA, test | students, test | CPU minutes of "
        "training | memory, MiB"
    )
    return table(head, cells)


def before() -> list[str]:
    """An earlier version on the same texts, and this one."""
    cells = []
    for row in trained_rows():
        if not row.get("before"):
            continue
        both = (row["before"], row["now"])
        found = [f"`{row['set']}`"]
        for way in both:
            least = min(way["students"].values(), key=lambda each: each["cost"])
            found += [
                minutes(way["train"]),
                percent(way["students"]["ta"]["accuracy"]),
                percent(least["accuracy"]),
                f"{way['cascades']['0.01']['times_fewer']:.1f}×",
            ]
        cells.append(found)
    if not cells:
        return ["Not measured yet."]
    parts = ("CPU minutes", "TA", "smallest student", "fewer FLOPs at 1 %")
    head = " | ".join(["set", *(f"{part}, {way}" for way in ("before", "now") for part in parts)])
    return table(head, cells)


def cascades(alpha: float) -> list[str]:
    """The cascade of one promise beside the oracle of the same risk."""
    cells = []
    for row in trained_rows():
        found = row["now"]["cascades"][f"{alpha:g}"]
        best = found["oracle"]
        cells.append(
            [
                f"`{row['set']}`",
                f"{found['times_fewer']:.1f}×",
                lost(found),
                answered(found),
                f"{best['times_fewer']:.1f}×",
                f"{found['cost_over_oracle']:.2f}",
                f"{found['oracle_of_all']['times_fewer']:.1f}×",
                f"{found['cost_over_oracle_of_all']:.2f}",
            ]
        )
    head = (
        "set | fewer FLOPs | points lost on test, 95 % | answers from | oracle of the test: fewer "
        "FLOPs | cost over its | oracle of calibration and test | cost over its"
    )
    return table(head, cells)


def nets() -> list[str]:
    """What the cascades give that promise accuracy itself."""
    cells = []
    for row in trained_rows():
        each = row["now"]["net"]
        cells.append(
            [f"`{row['set']}`"]
            + [
                cell
                for alpha in ALPHAS
                for found in [each[f"{alpha:g}"]]
                for cell in (f"{found['times_fewer']:.1f}×", lost(found))
            ]
        )
    promises = (f"{part}, {percent(alpha)}" for alpha in ALPHAS for part in ("fewer FLOPs", "lost"))
    return table(" | ".join(["set", *promises]), cells)


def savers() -> list[str]:
    """TinySaver's rule, which promises nothing, beside the cascade that promises 1 %."""
    cells = []
    for row in trained_rows():
        saver, ours = row["now"]["tiny_saver"], row["now"]["cascades"]["0.01"]
        cells.append(
            [
                f"`{row['set']}`",
                f"`{saver['student']}`" if saver["student"] else "none",
                f"{saver['times_fewer']:.1f}×",
                lost(saver),
                f"{ours['times_fewer']:.1f}×",
                lost(ours),
            ]
        )
    head = (
        "set | TinySaver's student | fewer FLOPs | points lost, 95 % | cascade at 1 %: fewer FLOPs "
        "| points lost, 95 %"
    )
    return table(head, cells)


def held_out(row: Row) -> Row:
    """What training measured of teacher and TA on texts that it held out; empty where it did not,
    as earlier versions, or had too few.
    """
    found: Row = row["now"]["held_out"] or {}
    return found if "teacher_accuracy" in found else {}


def trained_rows() -> list[Row]:
    """Those whose students are trained."""
    return [row for row in rows() if row.get("now")]


def lost(found: Row) -> str:
    """In points of accuracy, and the interval."""
    low, high = found["interval"]
    return f"{100 * found['lost']:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def answered(found: Row) -> str:
    """The shares of a cascade's students; or that there is no cascade."""
    if not found["shares"]:
        return "no cascade: the TA"
    return ", ".join(f"{name} {percent(share, 0)}" for name, share in found["shares"].items())


def minutes(spent: Row) -> str:
    """Of CPU time, which other work on the machine does not lengthen much; blank where a part of it
    was not counted, as the command was killed and went on.
    """
    return f"{spent['cpu_seconds'] / 60:.1f}" if spent["cpu_seconds"] else ""


def picture() -> list[str]:
    """The figure that `benchmarks.training.sets.figure` draws."""
    return ["![FLOPs saved and accuracy lost, by data set](datasets.svg)"]


def of_trained(lines: Callable[[], list[str]]) -> list[str]:
    """What is made of trained students, where there are any."""
    return lines() if trained_rows() else ["Not measured yet."]


TRAINED: dict[str, Callable[[], list[str]]] = {
    "set picture": picture,
    "set students": students,
    **{f"set cascades {alpha:g}": partial(cascades, alpha) for alpha in ALPHAS},
    "set nets": nets,
    "set savers": savers,
    "set before": before,
}
TABLES: dict[str, Callable[[], list[str]]] = {
    "set texts": texts,
    **{name: partial(of_trained, lines) for name, lines in TRAINED.items()},
}
