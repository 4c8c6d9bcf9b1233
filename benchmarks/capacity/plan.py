"""The capacity plan's simulation against real runs of the server, on this machine.

    python -m benchmarks.capacity.plan models/zoo/clinc150 --data test.jsonl [--repeats 5]

Measures a profile as `nestling plan measure` does, sends loads to the same server, and simulates
them: the same moments, Poisson arrivals or bursts, and another policy. Nothing is fitted to these
loads. Server and client share two cores, as they did for the profile: the event loop has one, the
worker the other, on which the client goes first (real-time scheduling, which needs root); the
simulation has it so too. A round of the profile and all loads take turns, `--repeats` times, each
time by other arrivals, since the speed of a shared machine changes by the minute; figures are
medians. Prints a table, and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling.capacity.bounds import upper_bound
from nestling.capacity.measuring.fit import fit
from nestling.capacity.measuring.loads import Loads, ObservedLoad
from nestling.capacity.measuring.measure import tick_of, workload_of
from nestling.capacity.measuring.server import MeasuredServer, pin
from nestling.capacity.simulation.inputs import SimulationInput
from nestling.capacity.simulation.run import simulate
from nestling.loadtest.client.protocols import PROTOCOLS
from nestling.loadtest.client.target import find
from nestling.loadtest.load_generator import LoadGenerator
from nestling.loadtest.results.environment import environment
from nestling.loadtest.setup import Setup
from nestling.loadtest.texts import Texts, read_texts
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import steps
from nestling.loadtest.traffic.spacing import Spacing
from nestling.models.checkpoint.manifest import TA
from nestling.models.precision import chosen
from nestling.server.build import read_for
from nestling.server.core.load_control import TICK_SECONDS
from nestling.server.settings import Settings

ALLOWED = 0.15
SHARES = (0.15, 0.3, 0.45, 0.6, 0.75, 0.85)
"""Of what the busier core could do, were it never idle."""
NAMES = ("p50_ms", "p99_ms", "http", "worker")


@dataclass(frozen=True)
class ValidationLoad:
    """model: asked for. share: of the bound. spacing: of the arrivals."""

    model: str
    share: float
    spacing: Spacing = Spacing.POISSON

    @property
    def name(self) -> str:
        return f"{self.model} at {self.share:.0%}, {self.spacing.value}"


LOADS = (
    *(ValidationLoad("auto", share) for share in SHARES),
    ValidationLoad("auto", 0.45, Spacing.BURSTS),
    ValidationLoad(TA, 0.3),
    ValidationLoad(TA, 0.6),
)


@dataclass
class ValidationRun:
    """A load once. due: seconds at which its requests were sent."""

    load: ValidationLoad
    repeat: int
    rate: float
    due: NDArray[np.float64]
    measured: dict[str, float]
    predicted: dict[str, float] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runner", default="onnx-int8")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    precision = chosen(given.runner, None)
    manifest, texts = read_for(given.checkpoint, precision), read_texts(given.data)
    workload = workload_of(given.checkpoint, manifest, precision, texts, 0)
    lengths = [len(ids) for ids in manifest.tokenizer.encode(list(texts.texts))]
    observed: list[ObservedLoad] = []
    runs: list[ValidationRun] = []
    with MeasuredServer(given.checkpoint, "--runner", given.runner) as server:
        tick = tick_of(server)

        def inputs() -> SimulationInput:
            costs, _ = fit(observed, lengths, tick, TICK_SECONDS)
            return SimulationInput(
                manifest, Settings(runner=given.runner), costs, workload, beside=True
            )

        rates: dict[str, float] = {}
        for repeat in range(given.repeats):
            note(f"profile, round {repeat + 1} of {given.repeats}")
            observed += Loads(server, texts, repeat).all(list(manifest.students), 1)
            rates = rates or {
                model: upper_bound(replace(inputs(), model=model)).rate for model in ("auto", TA)
            }
            runs += loaded(server, texts, rates, given.seconds, repeat)
    final = inputs()
    for run in runs:
        run.predicted = predicted(replace(final, model=run.load.model), run.due, run.repeat)
    rows = [compared(load, [run for run in runs if run.load == load]) for load in LOADS]
    show(rows)
    here = environment(("nestling", "torch"))
    errors = [abs(row[name]["error"]) for row in rows for name in NAMES]
    print(
        json.dumps(
            {
                "benchmark": "plan",
                **{name: here[name] for name in ("date", "hardware", "versions")},
                "command": "python -m benchmarks.capacity.plan models/zoo/clinc150 "
                "--data test.jsonl",
                "runner": given.runner,
                "seconds": given.seconds,
                "repeats": given.repeats,
                "allowed": ALLOWED,
                "within": sum(error <= ALLOWED for error in errors),
                "of": len(errors),
                "loads": rows,
            }
        )
    )


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def loaded(
    server: MeasuredServer, texts: Texts, rates: dict[str, float], seconds: float, repeat: int
) -> Iterator[ValidationRun]:
    """Every load in turn, on the server. rates: of each model at most."""
    setup = Setup(
        find(server.url), texts, PROTOCOLS, {"native": 1.0}, processes=1, max_lag_ms=1e3
    )  # fmt: skip
    with LoadGenerator(setup) as generator:
        pin(generator.pids[0], server.worker_cores, client=True)
        for number, load in enumerate(LOADS):
            rate = load.share * rates[load.model]
            note(f"{load.name}: {rate:.0f} per second")
            rng = np.random.default_rng([repeat, number])
            due = arrivals(steps([rate], seconds), load.spacing, rng)
            yield ValidationRun(
                load, repeat, rate, due, measured(server, generator, due, rng, load.model)
            )


def measured(
    server: MeasuredServer, generator: LoadGenerator, due: NDArray[np.float64], rng: Any, model: str
) -> dict[str, float]:
    """What the server did. http, worker: CPU seconds of its two processes per second."""
    cpu = server.cpu()
    records, _ = generator.send(due, rng, model)
    cpu = server.cpu().since(cpu)
    p50, p99 = np.quantile(records.requests.latency, (0.5, 0.99))
    return {
        "p50_ms": 1e3 * float(p50),
        "p99_ms": 1e3 * float(p99),
        "http": (cpu.loop + cpu.others) / records.window,
        "worker": cpu.worker / records.window,
        "client_lag_ms": 1e3 * float(np.quantile(records.requests.lag, 0.99)),
        "unanswered": int((records.requests.status != 200).sum()),
    }


def predicted(inputs: SimulationInput, due: NDArray[np.float64], seed: int) -> dict[str, float]:
    """The same of the simulation."""
    found = simulate(inputs, due, seed)
    return {
        "p50_ms": 1e3 * found.p50,
        "p99_ms": 1e3 * found.p99,
        "http": found.http,
        "worker": found.worker,
    }


def compared(load: ValidationLoad, runs: list[ValidationRun]) -> dict[str, Any]:
    """Medians over the repeats, and by how much the prediction is off."""
    row: dict[str, Any] = {
        "load": load.name,
        "rate": round(runs[0].rate, 1),
        "client_lag_ms": round(median(run.measured["client_lag_ms"] for run in runs), 3),
    }
    for name in NAMES:
        was = [run.measured[name] for run in runs]
        said = [run.predicted[name] for run in runs]
        row[name] = {
            "measured": round(median(was), 4),
            "from_to": [round(min(was), 4), round(max(was), 4)],
            "predicted": round(median(said), 4),
            "error": round(median(said) / median(was) - 1, 4),
        }
    return row


def show(rows: list[dict[str, Any]]) -> None:
    """Predicted / measured, and the error."""
    for row in rows:
        cells = [
            f"{name} {row[name]['predicted']:.3g} / {row[name]['measured']:.3g} "
            f"({row[name]['error']:+.0%}{'' if abs(row[name]['error']) <= ALLOWED else ' !'})"
            for name in NAMES
        ]
        print(f"{row['load']:24} {row['rate']:6.0f}/s  " + "  ".join(cells))


if __name__ == "__main__":
    main()
