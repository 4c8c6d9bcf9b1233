"""The students as graphs of ONNX Runtime, beside those of another installation.

    python -m benchmarks.server.graphs --data test.jsonl [--base PYTHON] [--checkpoint DIR] \\
        [--precision int8] [--rounds 7] [--texts 512]

Each installation has a process of its own, and the two are asked in turns: groups of 1, 8, 32 and
256 texts drawn from the data, on one thread, by each student. Microseconds are of that thread's CPU
time, per text, without the tokenizer: the least of the rounds, for what else runs on a machine only
adds. Also the seconds of CPU time that a runner takes to load, first with an empty cache of graphs.
base: the interpreter of the other installation. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

SIZES = (1, 8, 32, 256)
CALLS = {1: 64, 8: 16, 32: 8, 256: 2}
"""How many groups of each size are asked in a round."""
SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"


class Installation:
    """A process that measures with the package of one interpreter."""

    def __init__(self, python: str, given: argparse.Namespace, home: str) -> None:
        command = [python, __file__, "--asked", "--data", given.data.resolve()]
        command += ["--checkpoint", given.checkpoint.resolve()]
        command += ["--precision", given.precision, "--texts", str(given.texts)]
        self._child = subprocess.Popen(
            [str(each) for each in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"XDG_CACHE_HOME": home, "OMP_NUM_THREADS": "1"},
        )
        self.facts = self._read()

    def ask(self, student: str, size: int) -> float:
        """Microseconds of CPU time per text."""
        assert self._child.stdin is not None
        print(student, size, file=self._child.stdin, flush=True)
        return float(self._read())

    def close(self) -> None:
        """End the process."""
        self._child.communicate()

    def _read(self) -> Any:
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--base")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--asked", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.asked:
        answer(given)
        return
    pythons = {"here": sys.executable} | ({"base": given.base} if given.base else {})
    with tempfile.TemporaryDirectory() as home:
        asked = {
            name: Installation(python, given, f"{home}/{name}") for name, python in pythons.items()
        }
        students = asked["here"].facts["students"]
        micros: dict[str, Any] = {}
        for student in students:
            for size in SIZES:
                least = dict.fromkeys(asked, float("inf"))
                for _ in range(given.rounds):
                    for name, each in asked.items():
                        least[name] = min(least[name], each.ask(student, size))
                rounded = {name: round(value, 1) for name, value in least.items()}
                micros.setdefault(student, {})[f"group of {size}"] = rounded
        facts = {name: each.facts for name, each in asked.items()}
        for each in asked.values():
            each.close()
    print(
        json.dumps(
            {
                "benchmark": "graphs",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "data": given.data.name,
                "precision": given.precision,
                "rounds": given.rounds,
                "installations": facts,
                "cpu_microseconds_per_text": micros,
            }
        )
    )


def answer(given: argparse.Namespace) -> None:
    """Load twice and say how long it took; then, for each line read, the time of one round."""
    import onnxruntime

    from nestling.models import load_checkpoint
    from nestling.models.checkpoint.manifest import calibrated_for
    from nestling.models.nested.batch import PackedBatch
    from nestling.models.runners.onnx.runner import OnnxRunner

    checkpoint = calibrated_for(load_checkpoint(given.checkpoint), given.precision)
    seconds = []
    for _ in range(2):
        started = time.process_time()
        runner = OnnxRunner(checkpoint, given.precision, threads=1)
        seconds.append(round(time.process_time() - started, 2))
    lines = given.data.read_text("utf-8").splitlines()
    drawn = random.Random(0).choices(lines, k=given.texts)
    texts = checkpoint.tokenizer.encode([json.loads(line)["text"] for line in drawn])
    facts = {
        "onnxruntime": onnxruntime.__version__,
        "students": list(checkpoint.students),
        "load_cpu_seconds": {"empty cache": seconds[0], "from the cache": seconds[1]},
        "tokens_per_text": round(sum(map(len, texts)) / len(texts), 2),
    }
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        student, size = line.split()
        spec, count = checkpoint.students[student].spec, int(size)
        groups = [
            PackedBatch.of([texts[(n * count + i) % len(texts)] for i in range(count)], spec)
            for n in range(CALLS[count])
        ]
        runner.logits(groups[0])
        started = time.process_time()
        for group in groups:
            runner.logits(group)
        print((time.process_time() - started) / count / len(groups) * 1e6, flush=True)


if __name__ == "__main__":
    main()
