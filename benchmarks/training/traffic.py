"""What three rounds of training on traffic bring: accuracy and cost, before and after each.

    python -m benchmarks.training.traffic --teacher ENCODER --data train.jsonl --test test.jsonl \\
        --work DIR [--labelled 0.1] [--train-options "--steps 400"] \\
        [--further-options "--steps 100"]

A checkpoint is trained on a part of the data; the rest comes as traffic, a third of it more in each
round. All that is known of it is the TA's word, but for the share `--labelled`, of which the label
is: what a person or a large language model may have said. Each round trains the last checkpoint on
the log so far, by `nestling train --resume-from`, and calibrates what came of it; what became worse
is not taken, as for a user. Every checkpoint is evaluated on the test texts. Other texts validate,
and others calibrate: neither is trained on.

DIR keeps all checkpoints, so that a run that was killed goes on. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nestling.models.inputs.data import read_labelled
from nestling.models.inputs.data.fingerprints import fingerprint
from nestling.models.inputs.data.text_columns import TEXT_OR_PAIR
from nestling.models.inputs.text import Text, parts

from .sets.passes import NONE_FOUND

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--validating", type=int, default=300, help="texts of the data")
    parser.add_argument("--calibrating", type=int, default=700, help="texts of the data")
    parser.add_argument("--share", type=float, default=0.5, help="of the rest that trains at first")
    parser.add_argument("--labelled", type=float, default=0.0, help="share of traffic with a label")
    parser.add_argument("--max-drop", default="0.02")
    parser.add_argument("--train-options", default="")
    parser.add_argument("--further-options", default="")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    files = write_parts(given)
    rounds = [first(given, files)]
    for number in range(1, ROUNDS + 1):
        rounds.append(further(number, rounds[-1], given, files))
    summary = {
        "benchmark": "traffic",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("nestling", "torch", "accelerate")},
        "options": {name: str(value) for name, value in vars(given).items()},
        "texts": {name: len(read(file)) for name, file in files.items()},
        "rounds": rounds,
    }
    print(json.dumps(summary))


def write_parts(given: argparse.Namespace) -> dict[str, Path]:
    """The files of the simulation, by name; traffic is cumulative, as a log is."""
    data = read_labelled(given.data, TEXT_OR_PAIR)
    pairs = zip(data.texts, data.labels, strict=True)
    rows = list({fingerprint(text): (text, label) for text, label in pairs}.values())
    lot = random.Random(given.seed)
    lot.shuffle(rows)
    apart = given.validating + given.calibrating
    known = apart + round(given.share * (len(rows) - apart))
    parts = {
        "validation": rows[: given.validating],
        "calibration": rows[given.validating : apart],
        "train": rows[apart:known],
    }
    files = {name: write(given.work / f"{name}.jsonl", part) for name, part in parts.items()}
    traffic = [
        (text, label if lot.random() < given.labelled else None) for text, label in rows[known:]
    ]
    for number in range(1, ROUNDS + 1):
        so_far = traffic[: len(traffic) * number // ROUNDS]
        name = f"traffic-{number}"
        files[name] = write(given.work / f"{name}.jsonl", so_far)
    return files


def write(path: Path, rows: Sequence[tuple[Text, str | None]]) -> Path:
    """Texts, or pairs; a label that is None is left out."""
    with path.open("w", encoding="utf-8") as file:
        for text, label in rows:
            row = dict(zip(("text", "text_pair"), parts(text), strict=False))
            if label is not None:
                row["label"] = label
            file.write(json.dumps(row) + "\n")
    return path


def read(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def first(given: argparse.Namespace, files: dict[str, Path]) -> dict[str, Any]:
    """The checkpoint before any traffic."""
    out = given.work / "round-0"
    started = time.monotonic()
    if not out.exists():
        options = [f"--teacher={given.teacher}", f"--validation={files['validation']}"]
        command(
            "train",
            f"--out={out}",
            f"--data={files['train']}",
            *options,
            *shlex.split(given.train_options),
        )
    return measured(0, out, started, given, files)


def further(
    number: int, before: dict[str, Any], given: argparse.Namespace, files: dict[str, Path]
) -> dict[str, Any]:
    """The checkpoint after a round; the one before it where that became worse."""
    out = given.work / f"round-{number}"
    started = time.monotonic()
    if not out.exists():
        ended = command(
            "train",
            f"--resume-from={given.work / before['checkpoint']}",
            f"--traffic={files[f'traffic-{number}']}",
            f"--data={files['train']}",
            f"--validation={files['validation']}",
            f"--out={out}",
            *shlex.split(given.further_options),
            may_refuse=("worse beyond noise",),
        )
        if not out.exists():
            refused = ended.stderr.strip().splitlines()[-1]
            return before | {"round": number, "refused": refused}
    return measured(number, out, started, given, files)


def measured(
    number: int, checkpoint: Path, started: float, given: argparse.Namespace, files: dict[str, Path]
) -> dict[str, Any]:
    """Its students and its cascade on the test texts, kept beside it."""
    kept = checkpoint.with_suffix(".json")
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        return found
    seconds = round(time.monotonic() - started)
    drop = f"--max-drop={given.max_drop}"
    texts = f"--data={files['calibration']}"
    # Where no cascade can keep the drop, the TA answers alone, and there is none to measure.
    command("calibrate", str(checkpoint), texts, drop, "--default", may_refuse=NONE_FOUND)
    quick = ("--sample=32", "--repeats=2")  # its times are not looked at
    told = command("evaluate", str(checkpoint), f"--data={given.test}", "--json", *quick)
    report = json.loads(told.stdout)
    policies = {
        each["name"]: {
            name: round(100 * each[name], 2) for name in ("accuracy", "relative_flops", "breakage")
        }
        for each in report["policies"]
    }
    result = {
        "round": number,
        "checkpoint": checkpoint.name,
        "seconds": seconds,
        "percent_on_test": policies,
    }
    kept.write_text(json.dumps(result), "utf-8")
    return result


def command(*arguments: str, may_refuse: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """`nestling` as a user runs it. Raises RuntimeError where it fails for another reason."""
    print("nestling", shlex.join(arguments), file=sys.stderr, flush=True)
    ended = subprocess.run(
        [sys.executable, "-m", "nestling.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    print(ended.stdout if arguments[0] != "evaluate" else "", file=sys.stderr, flush=True)
    if ended.returncode and not any(each in ended.stderr for each in may_refuse):
        raise RuntimeError(ended.stderr)
    return ended


if __name__ == "__main__":
    main()
