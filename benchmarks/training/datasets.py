"""Real data sets by the documented commands, untuned: train, calibrate, evaluate, beside anchors.

    python -m benchmarks.training.datasets --data DIR --work DIR --teacher ENCODER \\
        [--only trec cr …] [--before PYTHON] [--out FILE]

Each command is a process of its own, `nestling train`, `calibrate` at 0.5, 1 and 2 % and
`evaluate`, whose time, CPU time and memory are counted. DIR of --work keeps every step, so that a
run that was killed goes on when the same command is given again; another teacher, or another
interpreter before, takes another DIR. Anchors: TF-IDF with logistic
regression; TinySaver's rule; and the oracle, the same students with the thresholds that are best on
the test texts. Without --teacher only the anchor that needs none is measured.

--before: the interpreter of an earlier version, which trains, calibrates and evaluates the same
texts right before. FILE, docs/benchmarks/datasets.json by default, is written after every set; what
it has of other sets stays. Prints a JSON line per set, and all that FILE has as the last line.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from nestling.cli.progress import ProgressDisplay
from nestling.models.checkpoint.integrity import replace_text
from nestling.models.errors import DataError, NestlingError
from nestling.models.progress import Progress

from ..markup import MEASURED
from .begun import begin, check_alike
from .sets.passes import Pass
from .sets.process import CommandFailedError, Installation
from .sets.registry import SETS, DataSet, chosen
from .sets.row import trained
from .sets.texts import prepared
from .sets.tfidf import anchor

OUT = MEASURED / "datasets.json"
TERMINATED = 143
"""Exit status after SIGTERM, as shells define it."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--teacher", help="directory or Hub id")
    parser.add_argument("--only", nargs="+", choices=list(SETS))
    parser.add_argument("--before", type=Path, metavar="PYTHON")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, end)
    try:
        sets, rows = chosen(given.only, given.data), read(given.out)
        check(given)
    except DataError as error:
        parser.error(str(error))
    failed = False
    for each in sets:
        try:
            with ProgressDisplay() as progress:
                row = rows.get(each.name, {}) | measured(each, given, progress)
        except (CommandFailedError, NestlingError) as error:
            print(error, file=sys.stderr)
            failed = True
            continue
        rows[each.name] = row
        keep(given.out, rows)
        print(json.dumps(row), flush=True)
    print(json.dumps(content(rows)))
    sys.exit(1 if failed else 0)


def end(*_: object) -> None:
    """Of SIGTERM: the command that runs is told to end, too."""
    print("ended by SIGTERM; the same command goes on from here", file=sys.stderr)
    sys.exit(TERMINATED)


def check(given: argparse.Namespace) -> None:
    """Raises DataError for what could only fail later."""
    if given.before is not None and not given.before.is_file():
        raise DataError(f"before: {given.before}: no such interpreter")
    if given.before is not None and given.teacher is None:
        raise DataError("before: trains, which takes --teacher")


def measured(each: DataSet, given: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The row of a set, as far as it is measured this time."""
    work = given.work.absolute() / each.name
    progress.step(f"{each.name}: splitting texts")
    texts = prepared(given.data, each, work)
    progress.step(f"{each.name}: TF-IDF and logistic regression")
    row: dict[str, Any] = {"set": each.name, "kind": each.kind, "texts": texts}
    row["tfidf"] = anchor(work)
    if given.teacher is None:
        return row
    local = Path(given.teacher)
    teacher = str(local.absolute()) if local.exists() else given.teacher
    if given.before is not None:
        older = Installation(str(given.before.absolute()), own=False)
        way = Pass(work / "before", older, validation=True, progress=progress)
        row["before"] = result_of(way, teacher, texts, anchors=False)
    own = Pass(work / "now", Installation(sys.executable, own=True), False, progress)
    row["now"] = result_of(own, teacher, texts, anchors=True)
    return row


def result_of(way: Pass, teacher: str, texts: dict[str, Any], anchors: bool) -> dict[str, Any]:
    """What came of a way, with the date and machine of the first time.

    Raises DataError where its folder was begun with another teacher, or another earlier version.
    """
    alike = {"teacher": Path(teacher).name}
    begin(way.folder, alike if way.by.own else alike | {"python": way.by.python})
    file = way.folder / "result.json"
    if not file.exists():
        replace_text(file, json.dumps(trained(way, teacher, texts, anchors)) + "\n")
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    check_alike(way.folder, found, alike)
    return found


def read(file: Path) -> dict[str, dict[str, Any]]:
    """What was measured before, by set. Raises DataError for a file that is something else."""
    if not file.exists():
        return {}
    found = json.loads(file.read_text("utf-8"))
    if not isinstance(found, dict) or found.get("benchmark") != "datasets":
        raise DataError(f"out: {file}: is no comparison over data sets")
    return {row["set"]: row for row in found["sets"]}


def keep(file: Path, rows: dict[str, dict[str, Any]]) -> None:
    replace_text(file, json.dumps(content(rows), indent=1) + "\n")


def content(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """In the order of the registry."""
    return {"benchmark": "datasets", "sets": [rows[name] for name in SETS if name in rows]}


if __name__ == "__main__":
    main()
