"""How right the time of students is that were never timed: the model of a profile, checked.

    python -m benchmarks.capacity.latency models/zoo/clinc150 --data test.jsonl \\
        [--runner onnx-int8] [--students 40]

Times the checkpoint's students, those that `nestling plan measure` draws beside them, and as many
others as `--students` says, all in turn. Fits the model to the first two, as `nestling search
--cost time` does, and compares it with what the others took: a long text alone and full batches, of
short texts and of long ones. A machine that does other work meanwhile is not as steady as the model
could be: `repeated` says how far two timings of the same batch lie apart. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import median

from nestling.cli.progress import ProgressDisplay
from nestling.loadtest.results.environment import environment
from nestling.loadtest.texts import read_texts
from nestling.models.latency.model import LatencyModel, TimedBatch
from nestling.models.latency.timing import drawn, time_students, with_drawn
from nestling.models.progress import Progress
from nestling.models.runners.choose import RUNNERS, RunnerOptions, choose
from nestling.server.build import read_for

WITHIN = 0.1
CHECKED_SEED = 1
"""Of the students that are drawn to be checked; those of a profile are drawn by another."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="texts as long as the traffic's")
    parser.add_argument("--runner", default="torch", choices=list(RUNNERS))
    parser.add_argument("--students", type=int, default=40, help="that the model has not seen")
    given = parser.parse_args()
    with ProgressDisplay() as progress:
        found = measured(given, progress)
    print(json.dumps(found))


def measured(given: argparse.Namespace, progress: Progress) -> dict[str, object]:
    manifest = read_for(given.checkpoint, "int8" if given.runner == "onnx-int8" else "float32")
    a, texts = manifest.architecture, read_texts(given.data)
    lengths = [len(ids) for ids in manifest.tokenizer.encode(list(texts.texts))]
    fitting = with_drawn(manifest, drawn(a)).students.values()
    specs = {student.spec for student in fitting}
    unseen = [spec for spec in drawn(a, given.students, CHECKED_SEED) if spec not in specs]
    everyone = with_drawn(manifest, [*drawn(a), *unseen])
    runner = choose(given.runner, everyone, RunnerOptions(threads=1), progress).runner
    first, second = (time_students(runner, lengths, 1, progress) for _ in range(2))
    model = LatencyModel.fitted(a, [each for each in first if each.student in specs])
    again = {(t.student, t.texts, t.tokens): t.seconds for t in second}
    checked = [each for each in first if each.student not in specs]
    errors: dict[str, list[float]] = defaultdict(list)
    for each in checked:
        said = model.seconds(each.student, each.texts, each.tokens)
        errors[f"{each.texts} × {each.tokens}"].append(said / each.seconds - 1)
    every = [error for own in errors.values() for error in own]
    apart = [
        abs(again[each.student, each.texts, each.tokens] / each.seconds - 1) for each in checked
    ]
    return {
        "benchmark": "latency",
        **environment(("nestling", "torch", "numpy")),
        "checkpoint": given.checkpoint.name,
        "runner": given.runner,
        "threads": 1,
        "fitted_on": len(specs),
        "students": len(unseen),
        "within_10_percent": _within(every),
        "median_error": round(median(map(abs, every)), 4),
        "by_texts_and_tokens": {name: _of(own) for name, own in errors.items()},
        "repeated": {"median": round(median(apart), 4), "within_10_percent": _within(apart)},
        "seconds": {name: float(f"{speed:.3g}") for name, speed in model.speeds._asdict().items()},
        "timed": [_row(each, model) for each in checked],
    }


def _of(errors: list[float]) -> dict[str, float]:
    low, high = min(errors), max(errors)
    return {
        "within_10_percent": _within(errors),
        "median": round(median(errors), 4),
        "worst": round(high if high > -low else low, 4),
    }


def _within(errors: list[float]) -> float:
    return round(sum(abs(error) <= WITHIN for error in errors) / len(errors), 4)


def _row(timed: TimedBatch, model: LatencyModel) -> list[object]:
    """Layers, dim, heads, ffn, texts, tokens, microseconds measured and said."""
    said = model.seconds(timed.student, timed.texts, timed.tokens)
    micros = [round(1e6 * seconds, 1) for seconds in (timed.seconds, said)]
    return [*timed.student.to_json().values(), timed.texts, timed.tokens, *micros]


if __name__ == "__main__":
    main()
