"""The tables of README and the docs, each made from the JSON that was measured.

    python -m benchmarks.tables            # names what differs, and ends with status 1
    python -m benchmarks.tables --write    # writes the tables into the pages

A table stands in a page between `<!-- NAME -->` and `<!-- end of NAME -->`. Sentences with numbers
of the same source are checked, not written: CLAIMS has them. The accuracy of the shipped checkpoint
has one source, its own report.json, which `nestling evaluate --keep` writes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nestling.models.checkpoint.integrity import read_hashed_json
from nestling.models.precision import PRECISIONS, file_of

from .markup import ROOT, marks, measured, percent, replaced, table
from .server import tables as server

REPORT = ROOT / "models" / "zoo" / "clinc150" / "report.json"
WORDS = {
    "tiny": "`tiny` alone: the last layer",
    "small": "`small` alone: 2 layers",
    "medium": "`medium` alone: 3 layers",
    "ta": "`ta`: all 6 layers",
    "drop-0.005": "**cascade, at most 0.5 points lost** (`auto`)",
    "drop-0.01": "**cascade, at most 1 point lost**",
}
"""Policies of the shipped checkpoint, as README calls them."""


def accuracy() -> list[str]:
    """The policies of the shipped checkpoint."""
    rows = []
    for policy in policies().values():
        flops, time = policy["relative_flops"], policy["relative_seconds"]
        fewer, less = "", ""
        if policy["kind"] == "cascade":
            fewer, less = f" ({1 / flops:.1f}× fewer)", f" ({1 / time:.1f}× less)"
        rows.append(
            [
                WORDS[policy["name"]],
                percent(policy["accuracy"], 2),
                percent(flops) + fewer,
                percent(time) + less,
                f"{policy['seconds']['median'] * 1e3:.3f}",
            ]
        )
    head = "answered by | accuracy | FLOPs against the TA | time against the TA | ms per text"
    return table(head, rows)


def beside_float32(precision: str) -> list[str]:
    """The cascades in float32 and in a precision, each with thresholds of its own."""
    rows = []
    for name, row in sorted(measured(precision)["policies"].items(), key=_float32_first):
        runner, policy = name.split()
        words = "the TA" if policy == "ta" else f"`{policy}`"
        promised = row["promised"]
        rows.append(
            [
                f"{words}, {runner.removeprefix('onnx-')}",
                percent(row["accuracy"], 2),
                percent(row["risk"], 2) if promised or row["risk"] else "",
                f"{100 * promised:g} %" if promised else "",
                "100 %" if policy == "ta" else percent(row["relative_flops"]),
                "100 %" if policy == "ta" else percent(row["reach_the_ta"]),
            ]
        )
    head = "answered by | accuracy | observed risk | promised | FLOPs, mean of texts | reach the TA"
    return table(head, rows)


def thresholds() -> list[str]:
    """What the calibrations of the shipped checkpoint chose."""
    rows = []
    for precision in PRECISIONS:
        file = REPORT.with_name(file_of("calibration.json", precision))
        if not file.exists():
            continue
        for name, cascade in read_hashed_json(file)["cascades"].items():
            shares, stages = cascade["forecast"]["shares"], cascade["stages"]
            path = [f"`{s['student']}` ≥ {s['threshold']:.4f}" for s in stages[:-1]]
            score = stages[0].get("score", "probability")
            answers = [f"{percent(share)}" for share in shares]
            flops = percent(cascade["forecast"]["relative_flops"])
            rows.append(
                [f"`{name}`, {precision}", score, ", ".join(path), ", ".join(answers), flops]
            )
    head = "cascade | score | answers from, else the TA | share of the answers | expected FLOPs"
    return table(head, rows)


def _float32_first(item: tuple[str, Any]) -> tuple[bool, bool]:
    return not item[0].startswith("float32"), not item[0].endswith(" ta")


def monitor() -> list[str]:
    """Shadow texts until a broken promise raises the alarm, after quiet ones."""
    found = measured("monitor")
    rows = []
    for times, by_quiet in found["delays"].items():
        for quiet, row in by_quiet.items():
            risk = f"{100 * int(times) * found['alpha']:g} %"
            means = [f"{row[rule]['mean']:,.0f}" for rule in ("detector", "sequence")]
            rows.append([risk, f"{int(quiet):,}", *means])
    return table("risk | after quiet texts | texts until the alarm | confidence sequence", rows)


TABLES: dict[str, Callable[[], list[str]]] = {
    "accuracy": accuracy,
    "bfloat16": partial(beside_float32, "bfloat16"),
    "int8": partial(beside_float32, "int8"),
    "thresholds": thresholds,
    **server.TABLES,
    "monitor": monitor,
}


def claims() -> Iterator[tuple[str, str]]:
    """Pages, and sentences that stand in them as long as the report says so."""
    report, rows = json.loads(REPORT.read_text("utf-8")), policies()
    first, second, tiny = rows["drop-0.005"], rows["drop-0.01"], rows["tiny"]
    escalates = f"{first['out_of_scope']:.0%}".replace("%", " %")
    texts = f"{report['data']['examples']:,}"
    cores = {1: "one", 2: "two"}[report["hardware"]["threads"]]
    batch = report["timing"]["batch"] * tiny["seconds"]["median"] * 1e3
    yield (
        "README.md",
        f"The cascades lost {100 * first['drop']:.2f} and {100 * second['drop']:.2f} points "
        f"against the TA; promised are at most 0.5 and 1. `tiny` answers "
        f"{100 * first['shares']['tiny']:.0f} % of the texts in the first cascade.",
    )
    yield "docs/calibration.md", half_precision()
    seconds = measured("bfloat16")["cpu_seconds"]
    slower = seconds["bfloat16"] / seconds["float32"]
    yield "docs/calibration.md", f"takes {slower:.1f} times as long as in float32"
    yield "README.md", f"{escalates} go all the way to the TA"
    yield "README.md", f"measured on the {texts} test texts"
    yield "README.md", f"{cores} CPU cores in batches of {report['timing']['batch']} texts"
    yield "README.md", f"a batch of {report['timing']['batch']} short texts in {batch:.1f} ms"
    alarms = measured("monitor")["false_alarms"]
    once, again = (alarms[kind]["alarms"] for kind in ("once", "repeated"))
    texts_watched = f"{alarms['once']['texts']:,}"
    yield "docs/monitoring.md", f"it raised {once} alarms in {texts_watched} texts"
    without = alarms["repeated, without the window"]["alarms"]
    yield (
        "docs/monitoring.md",
        f"with every text five times in a row {again}, and {without:,} had each of them counted",
    )
    yield "models/zoo/clinc150/README.md", f"Measured on the {texts} in-scope test texts"
    yield "models/zoo/clinc150/README.md", f"out-of-scope test texts {escalates} escalate to the TA"


def half_precision() -> str:
    """How far the emulation of bfloat16 can be relied upon."""
    found = measured("bfloat16")
    order = found["from_another_order"].values()
    share = max(student["apart_by_more_than_the_margin"] for student in order)
    largest = max(student["apart_largest"] for student in order)
    labels = max(student["other_label"] for student in order)
    return (
        f"That alone moves a student's confidence by more than the gate's margin of "
        f"{found['margin']:g} in at most {percent(share, 2)} of the texts, by {largest:g} at most, "
        f"and changes the label of {percent(labels, 2)}."
    )


def policies() -> dict[str, dict[str, Any]]:
    """Of the shipped checkpoint's report, by name."""
    return {each["name"]: each for each in json.loads(REPORT.read_text("utf-8"))["policies"]}


def made(text: str) -> str:
    """A page's text with all of its tables as the JSON has them."""
    for name, lines in TABLES.items():
        if marks(name)[0] in text:
            text = replaced(text, name, lines())
    return text


def pages() -> list[Path]:
    """README, the docs, and the shipped checkpoint's card."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), REPORT.with_name("README.md")]


def faults() -> list[str]:
    """What a page says otherwise than the JSON."""
    found = []
    for page in pages():
        if (text := page.read_text("utf-8")) != made(text):
            found.append(f"{page.relative_to(ROOT)}: a table is not what the JSON says; --write it")
    for name, sentence in claims():
        if sentence not in " ".join((ROOT / name).read_text("utf-8").split()):
            found.append(f"{name}: does not say: {sentence}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        for page in pages():
            page.write_text(made(page.read_text("utf-8")), "utf-8")
    complaints = faults()
    print("\n".join(complaints) or "All tables are what was measured.")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
