"""Everything in one call: correctness, then all timings, a table, and one JSON line at the end."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from .cascades import bert_base, measure_cascade, shipped
from .clock import Clock, copy_bandwidth, matrix_rate
from .correctness import check
from .gates import measure_gate
from .linear import measure_grouped, measure_sliced
from .shapes import layers
from .tuning import tune

SHORT = (4, 6, 7, 8, 9, 9, 10, 10, 11, 11, 12, 13, 14, 16, 19, 25)
"""Tokens of short texts: about the distribution of CLINC150, 11.5 on average."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tune", action="store_true", help="choose the tiles anew first, and write tiles.json"
    )
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.kernels needs a CUDA device; there is none here")
    device = torch.device("cuda", torch.cuda.current_device())
    where = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name(device),
        "versions": {name: version(name) for name in ("nestling", "torch", "triton")},
    }
    print(json.dumps({"errors": check(device)}), flush=True)
    clock = Clock(device)
    if given.tune:
        tune(clock, f"{where['device']}, {where['date']}")
    bandwidth, rate = copy_bandwidth(clock), matrix_rate(clock)
    result: dict[str, Any] = {
        "benchmark": "kernels",
        **where,
        "bytes_per_second": bandwidth,
        "flops_per_second": rate,
        "sliced_linear": measure_sliced(clock, layers(device)),
        "grouped_linear": measure_grouped(clock, layers(device)),
        "gate": measure_gate(clock),
        "cascade": [
            measure_cascade(clock, name, architecture, texts, lengths)
            for name, architecture in (("shipped", shipped()), ("BERT-base", bert_base()))
            for texts, lengths in ((512, SHORT), (128, (128,)))
        ],
    }
    result["summary"] = summary(result)
    for line in table(result["summary"]):
        print(line)
    print(json.dumps(result))


def summary(result: dict[str, Any]) -> dict[str, float]:
    """The numbers that have a target."""
    sliced, grouped = result["sliced_linear"], result["grouped_linear"]
    few = [c for c in grouped if c["rows"] <= 4096]
    many = [c for c in grouped if c["rows"] > 4096]
    small = [c for c in sliced + grouped if c["rows"] <= 64]
    return {
        "sliced, geometric mean": geometric_mean([c["speedup"] for c in sliced]),
        "sliced, worst cell": min(c["speedup"] for c in sliced),
        "grouped, rows ≤ 4096": geometric_mean([c["speedup"] for c in few]),
        "grouped, rows above": geometric_mean([c["speedup"] for c in many]),
        "grouped, rows above: share of the matrix rate": geometric_mean(
            [c["flops_per_second"] / result["flops_per_second"] for c in many]
        ),
        "rows ≤ 64: share of the copy bandwidth": geometric_mean(
            [c["bytes_per_second"] / result["bytes_per_second"] for c in small]
        ),
        "gate": geometric_mean([c["speedup"] for c in result["gate"]]),
        "cascade": min(c["speedup"] for c in result["cascade"]),
    }


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


TARGETS = (1.0, 0.85, 1.5, 1.0, 0.8, 0.75, 5.0, 4.0)
"""In the order of the summary."""


def table(measured: dict[str, float]) -> list[str]:
    """Lines of a Markdown table: what was measured beside its target."""
    rows = [
        f"| {name} | ≥ {target:g} | {value:.2f} | {'reached' if value >= target else 'missed'} |"
        for (name, value), target in zip(measured.items(), TARGETS, strict=True)
    ]
    return ["| | target | measured | |", "|---|---|---|---|", *rows]


if __name__ == "__main__":
    main()
