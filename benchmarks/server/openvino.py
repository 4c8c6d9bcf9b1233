"""OpenVINO beside ONNX Runtime in int8, as they compute one student.

    python -m benchmarks.server.openvino --graphs FOLDER --data test.jsonl [--checkpoint DIR] \\
        [--student ta] [--rounds 3]

graphs: a folder with `STUDENT.onnx`, a float32 graph of the standard's operations alone with the
inputs `input_ids` and `attention_mask`, such as torch's exporter makes of `nestling export`.
OpenVINO compiles it in float32 and bfloat16. All get the same runs of the same texts in turns, on
one thread, without the tokenizer. Microseconds of CPU time per text, the least of the rounds.
Needs the package `openvino`, which Nestling does not. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto

from nestling.models import load_checkpoint
from nestling.models.checkpoint.weights import read_weights
from nestling.models.runners.onnx.graph import build_graph
from nestling.models.runners.onnx.runner import CPU, session_options
from nestling.models.runners.onnx.runs import padded, places_at_once

from .graphs import CALLS, SHIPPED, SIZES

Inputs = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--student", default="ta")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    checkpoint = load_checkpoint(given.checkpoint)
    a, spec = checkpoint.architecture, checkpoint.students[given.student].spec
    graph = build_graph(a, read_weights(checkpoint), spec, "int8")
    file = given.graphs / f"{given.student}.onnx"
    engines = {"onnxruntime int8": by_onnx(graph)} | {
        f"openvino {name}": by_openvino(file, precision)
        for name, precision in (("float32", "f32"), ("bfloat16", "bf16"))
    }
    lines = random.Random(0).choices(given.data.read_text("utf-8").splitlines(), k=512)
    texts = checkpoint.tokenizer.encode([json.loads(line)["text"] for line in lines])
    most, micros = places_at_once(spec, a), {}
    for size in SIZES:
        drawn = [[texts[(n * size + i) % 512] for i in range(size)] for n in range(CALLS[size])]
        runs = [inputs for group in drawn for inputs in cut(group, most)]
        least = dict.fromkeys(engines, float("inf"))
        for each in engines.values():  # kernels are made for a shape when it is first seen
            timed(each, runs)
        for _ in range(given.rounds):
            for name, each in engines.items():
                least[name] = min(least[name], timed(each, runs) / size / len(drawn))
        micros[f"group of {size}"] = {name: round(value, 1) for name, value in least.items()}
    print(
        json.dumps(
            {
                "benchmark": "openvino",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("onnxruntime", "openvino")},
                "student": given.student,
                "cpu_microseconds_per_text": micros,
            }
        )
    )


def cut(group: list[list[int]], most: int) -> list[Inputs]:
    """Inputs of each run of a group."""
    lengths = np.array([len(ids) for ids in group])
    return [inputs for _, inputs in padded(np.concatenate(group), lengths, most)]


def timed(engine: Callable[[Inputs], object], runs: list[Inputs]) -> float:
    """Microseconds of CPU time."""
    started = time.process_time()
    for inputs in runs:
        engine(inputs)
    return (time.process_time() - started) * 1e6


def by_onnx(graph: ModelProto) -> Callable[[Inputs], object]:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), session_options(1), providers=[CPU]
    )
    return lambda inputs: session.run(None, inputs)


def by_openvino(file: Path, precision: str) -> Callable[[Inputs], object]:
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    compiled = importlib.import_module("openvino").Core().compile_model(file, "CPU", options)
    request = compiled.create_infer_request()
    return lambda inputs: request.infer(inputs, share_inputs=True, share_outputs=True)


if __name__ == "__main__":
    main()
