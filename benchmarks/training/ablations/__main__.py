"""Training with one thing changed at a time: what each idea is worth, over data sets and seeds.

    python -m benchmarks.training.ablations --data DIR --teacher ENCODER --work DIR \\
        --sets trec cr --seeds 0 1 2 --steps 600 [--only labels-only …]

DIR holds a folder for each set, with `train.jsonl` and `test.jsonl`, as they are or packed by xz.
A teacher is fine-tuned for each set and seed, and
all variants start from it: the same slices, steps and texts. `--only` names variants; what each is
compared with runs too. WORK keeps teachers and runs, so that a run that was killed goes on; another
teacher, or other texts, take another WORK. Prints a JSON line per run, and as the last line the
comparison (`compare.py`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from nestling.cli.progress import ProgressDisplay
from nestling.models.checkpoint.integrity import replace_text, sha256_of
from nestling.models.errors import DataError
from nestling.models.progress import Progress

from ..begun import begin
from ..guarantee import origin
from .bench import STATES, Bench
from .compare import ALPHA, Answers, compared
from .texts import SetFiles
from .variants import VARIANTS

TEACHER = "teacher"
KEPT = ("right", "score")
"""Of a run: per text, for the comparison, and not printed."""
Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    given = parser.parse_args()
    if given.steps < 2:
        parser.error(f"--steps: {given.steps} is fewer than 2, one before a TA grows and one after")
    try:
        sets = {name: SetFiles.of(given.data / name, given.work / name) for name in given.sets}
    except DataError as error:
        parser.error(f"--sets: {error}")
    try:
        for name, files in sets.items():
            alike = {"teacher": Path(given.teacher).name}
            alike |= {
                f"{file.name} of sha256": sha256_of(file) for file in (files.train, files.test)
            }
            for seed in given.seeds:
                begin(folder_of(given, name, seed), alike)
    except DataError as error:
        parser.error(str(error))
    accelerator = Accelerator(mixed_precision="no")
    runs = []
    with ProgressDisplay() as progress:
        for name, files in sets.items():
            for seed in given.seeds:
                for run in of_seed(given, name, files, seed, accelerator, progress):
                    print(json.dumps({k: v for k, v in run.items() if k not in KEPT}), flush=True)
                    runs.append(run)
        progress.step("comparing")
        found = comparison(runs)
    print(json.dumps(summary(given, runs, found)))


def chosen(only: Iterable[str]) -> list[str]:
    """The variants that run, in their order: those named, and what they are compared with."""
    wanted = {*only, *(VARIANTS[name].against for name in only)}
    return [name for name in VARIANTS if name in wanted]


def folder_of(given: argparse.Namespace, name: str, seed: int) -> Path:
    """That keeps the runs of a set and seed."""
    work: Path = given.work
    return work / name / f"seed-{seed}-steps-{given.steps}"


def of_seed(
    given: argparse.Namespace,
    name: str,
    files: SetFiles,
    seed: int,
    accelerator: Accelerator,
    progress: Progress,
) -> Iterable[Run]:
    """All runs of a set and seed, the teacher's first; those that are kept are not run again."""
    folder = folder_of(given, name, seed)
    bench: Bench | None = None
    for variant in (TEACHER, *chosen(given.only)):
        file = folder / f"{variant}.json"
        if not file.exists():
            if bench is None:
                bench = Bench(
                    given.teacher, files, folder, seed, given.steps, accelerator, progress
                )
            progress.note(f"{name}, seed {seed}: {variant}")
            about = {"set": name, "seed": seed, "variant": variant, "steps": given.steps}
            replace_text(file, json.dumps(about | measured(bench, variant)))
            shutil.rmtree(folder / STATES / variant, ignore_errors=True)  # the teacher has none
        yield json.loads(file.read_text("utf-8"))


def measured(bench: Bench, name: str) -> Run:
    """Train a variant; what its students answer."""
    started, said = time.monotonic(), {}
    if name == TEACHER:
        logits = {TEACHER: bench.teacher_logits()}
        flops = {}
    else:
        variant = VARIANTS[name]
        trained = variant.train(bench, name, variant.students(bench.architecture))
        parts, said = trained.answering, dict(trained.said)
        logits = {n: bench.logits(model, spec, n) for n, (model, spec) in parts.items()}
        lengths = list(map(len, bench.test.sequences))
        whole = bench.full.flops(bench.architecture).total(lengths)
        flops = {
            n: round(spec.flops(bench.architecture).total(lengths) / whole, 5)
            for n, (_, spec) in parts.items()
        }
    right = {n: each.argmax(-1) == bench.test.labels for n, each in logits.items()}
    return {
        "seconds": round(time.monotonic() - started),
        "relative_flops": flops,
        "accuracy": {n: round(each.double().mean().item(), 5) for n, each in right.items()},
        **{n: round(value, 6) for n, value in said.items()},
        "right": {n: each.int().tolist() for n, each in right.items()},
        "score": {n: margins(each) for n, each in logits.items()},
    }


def margins(logits: Tensor) -> list[float]:
    """Between the two highest logits of each text."""
    first, second = logits.double().topk(2, dim=-1).values.unbind(-1)
    return [round(each, 5) for each in (first - second).tolist()]


def comparison(runs: list[Run]) -> list[Run]:
    """A line for each set, variant and student, over all seeds."""
    by: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by.setdefault((run["set"], run["variant"]), []).append(run)
    found = []
    for (data, name), own in by.items():
        if name == TEACHER:
            continue
        against, teachers = VARIANTS[name].against, by[data, TEACHER]
        for student in own[0]["accuracy"]:
            other = None
            if against is not None and student in by[data, against][0]["accuracy"]:
                other = Answers.of(by[data, against], teachers, student)
            about = {"set": data, "variant": name, "says": VARIANTS[name].says, "against": against}
            answers = Answers.of(own, teachers, student)
            found.append({**about, "student": student, **compared(answers, other)})
    return found


def summary(given: argparse.Namespace, runs: list[Run], found: list[Run]) -> Run:
    return {
        "benchmark": "ablations",
        **origin(),
        "teacher": Path(given.teacher).name,
        "steps": given.steps,
        "seeds": given.seeds,
        "alpha": ALPHA,
        "runs": [{k: v for k, v in run.items() if k not in KEPT} for run in runs],
        "results": found,
    }


if __name__ == "__main__":
    main()
