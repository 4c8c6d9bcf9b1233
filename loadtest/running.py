"""Runs each kind of test, and returns its report as it is written to JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .client.records import Records
from .errors import LoadtestError, check_above, check_at_least
from .knee import SHARE, Knee, Search
from .load_generator import LoadGenerator
from .mlperf import INVALID, generate
from .reference import Reference
from .request_sender import RequestSender
from .results import energy
from .results.environment import environment
from .results.summary import Truth, summarize
from .scenario import Rules, Scenario
from .setup import Setup
from .traffic.arrivals import arrivals
from .traffic.rates import Rate, parse_rate, steps
from .traffic.spacing import Spacing
from .traffic.traces import Trace, replay
from .watching import NOBODY, Watcher

SCHEMA = 1
FIRST_SECOND = 1.0
OFFLINE_PATIENCE = 10
"""How many times the length of the scenario its last text may wait."""


@dataclass(frozen=True)
class Traffic:
    """When requests are due. rate: as `parse_rate` reads it; with a trace the mean, or None.

    Raises LoadtestError that names field and limit.
    """

    rate: str | None
    seconds: float
    warmup: float = 0.0
    spacing: Spacing = Spacing.POISSON
    burstiness: float = 4.0
    trace: Trace | None = None
    trace_begin: float = 0.0
    trace_speed: float = 1.0

    def __post_init__(self) -> None:
        check_above("seconds", self.seconds, 0)
        check_at_least("warmup", self.warmup, 0)
        check_above("burstiness", self.burstiness, 0)
        if self.rate is None and self.trace is None:
            raise LoadtestError("rate: is needed, such as 200, unless there is a --trace")
        if self.trace is None:
            self._rate()
        elif self.rate is not None:
            self._mean()

    def due(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
        """The moments, in seconds from the start, ascending, and the rate at the beginning."""
        if self.trace is None:
            rate = self._rate()
            first = float(np.interp(min(FIRST_SECOND, rate.seconds), rate.times, rate.expected))
            moments = arrivals(rate, self.spacing, rng, self.burstiness)
            return moments, first / min(FIRST_SECOND, rate.seconds)
        mean = self._mean() if self.rate is not None else None
        return replay(self.trace, self.seconds, rng, mean, self.trace_speed, self.trace_begin)

    def described(self) -> dict[str, Any]:
        """For the report."""
        about: dict[str, Any] = {
            "rate": self.rate,
            "seconds": self.seconds,
            "warmup": self.warmup,
            "arrivals": self.spacing.value if self.trace is None else "trace",
        }
        if self.spacing is Spacing.BURSTS:
            about["burstiness"] = self.burstiness
        if self.trace is not None:
            about["trace"] = {
                "file": self.trace.name,
                "begin": self.trace_begin,
                "speed": self.trace_speed,
            }
        return about

    def _rate(self) -> Rate:
        assert self.rate is not None
        return parse_rate(self.rate, self.seconds)

    def _mean(self) -> float:
        assert self.rate is not None
        try:
            mean = float(self.rate)
        except ValueError as error:
            raise LoadtestError(
                f"rate: {self.rate!r} is no number, and with --trace it is the mean"
            ) from error
        check_above("rate", mean, 0)
        return mean


def run(
    setup: Setup,
    traffic: Traffic,
    models: Sequence[str],
    repeats: int,
    progress: Watcher = NOBODY,
) -> dict[str, Any]:
    """Load the models in turns, so that changes of the machine affect all alike."""
    check_at_least("repeats", repeats, 1)
    report = _report("run", setup, traffic.described())
    progress.step("asking the server")
    reference, runs = Reference(setup), []
    with LoadGenerator(setup) as generator:
        for repeat in range(repeats):
            for model in models:
                progress.step(
                    f"loading {model} for {traffic.warmup + traffic.seconds:g} s, repeat "
                    f"{repeat + 1} of {repeats}"
                )
                rng = np.random.default_rng([setup.seed, repeat])
                due, first = traffic.due(rng)
                records, joules = generator.send(due, rng, model, first, traffic.warmup)
                progress.step("comparing the answers")
                summary = _summary(setup, reference, records, traffic.seconds, joules)
                runs.append({"model": model, "repeat": repeat, **summary})
                progress.note(_line(runs[-1]))
    return report | {"reference": reference.described(), "runs": runs}


def find_knee(
    setup: Setup, search: Search, warmup: float, model: str, progress: Watcher = NOBODY
) -> dict[str, Any]:
    """Find the knee. The report has all probes; those of the knee's rate are its runs."""
    check_at_least("warmup", warmup, 0)
    report = _report(
        "knee", setup, {"arrivals": "poisson", "seconds": search.seconds, "warmup": warmup}
    )
    reference = Reference(setup)
    with LoadGenerator(setup) as generator:
        numbers = iter(range(1 << 31))

        def probe(rate: float, seconds: float) -> dict[str, Any]:
            rng = np.random.default_rng([setup.seed, next(numbers)])
            progress.step(f"probing {rate:,.1f} requests per second for {warmup + seconds:.3g} s")
            due = arrivals(steps([rate], seconds), Spacing.POISSON, rng)
            records, joules = generator.send(due, rng, model, rate, warmup)
            return {"model": model, **_summary(setup, reference, records, seconds, joules)}

        found = Knee(search, probe, progress.note).find()
    best = [p for p in found["probes"] if p["rate"] == found["rate_per_second"]]
    runs = [{"repeat": repeat, **p} for repeat, p in enumerate(best)]
    keep = ("rate", "holds", "offered_per_second", "throughput_per_second", "latency_ms",
            "within_objective_share", "accuracy", "cost")  # fmt: skip
    found["probes"] = [{name: p[name] for name in keep} for p in found["probes"]]
    progress.note(
        f"The knee is at {found['rate_per_second']:,.1f} requests per second: {SHARE:.0%} in "
        f"{setup.objective_ms:g} ms. At {found['fails_at_per_second']:,.1f} it is the "
        f"{found['limited_by']} that does not keep up."
    )
    return report | {"reference": reference.described(), "runs": runs, "knee": found}


def run_mlperf(
    setup: Setup, rules: Rules, model: str, logs: Path, progress: Watcher = NOBODY
) -> dict[str, Any]:
    """Run a scenario of MLPerf: the generator's verdict, and the numbers that every run has.

    Raises LoadtestError for a mix of protocols or batch sizes, which the generator does not know.
    """
    if len(setup.shares) > 1 or len(setup.batches) > 1:
        raise LoadtestError("mlperf: takes one --protocol and one --batch, not a mix")
    report = _report("mlperf", setup, {"arrivals": rules.scenario.value, "rate": rules.rate,
                                       "seconds": rules.seconds, "warmup": 0})  # fmt: skip
    reference, counted = Reference(setup), energy.start(setup.target.local)
    patient = setup
    if rules.scenario is Scenario.OFFLINE:  # where all are due at once, the last has to wait
        patient = replace(setup, timeout=max(setup.timeout, OFFLINE_PATIENCE * rules.seconds))
    progress.step(f"{rules.scenario.value}, at least {rules.seconds:g} s")
    with RequestSender(patient, model) as sender:
        found = generate(setup, rules, sender, int(next(iter(setup.batches))), logs)
    records = sender.records()
    answered = int((records.requests.status == 200).sum())
    joules = counted.read(answered)
    summary = _summary(setup, reference, records, records.window, joules)
    verdict = found.verdict if answered == len(records) else INVALID
    return report | {
        "reference": reference.described(),
        "runs": [{"model": model, "repeat": 0, **summary}],
        "mlperf": {
            "scenario": rules.scenario.value,
            "verdict": verdict,
            "failed_requests": len(records) - answered,
            "results": found.results,
        },
    }


def _report(kind: str, setup: Setup, traffic: dict[str, Any]) -> dict[str, Any]:
    """The part that all kinds of report share."""
    return {
        "benchmark": "loadtest",
        "schema": SCHEMA,
        "kind": kind,
        **environment(),
        "seed": setup.seed,
        "server": {"url": setup.target.url, "about": setup.target.about()},
        "data": {
            "file": setup.texts.name,
            "sha256": setup.texts.sha256,
            "texts": len(setup.texts),
        },
        "objective_ms": setup.objective_ms,
        "traffic": traffic
        | {
            "protocols": setup.shares,
            "batches": setup.batches,
            "faults": setup.faults,
            "processes": setup.processes,
            "connections": setup.connections,
            "timeout": setup.timeout,
        },
        "price_per_hour": setup.price_per_hour,
    }


def _summary(
    setup: Setup,
    reference: Reference,
    records: Records,
    seconds: float,
    joules: dict[str, Any],
) -> dict[str, Any]:
    truth = Truth(np.array(setup.texts.labels, object), reference.labels(records.texts.row))
    found = summarize(records, seconds, setup.objective_ms, truth, setup.price_per_hour)
    return found | {"energy": joules}


def _line(run: dict[str, Any]) -> str:
    tail = [f"{name} {run['latency_ms'][name]:.1f} ms" for name in ("p50", "p99")
            if name in run["latency_ms"]]  # fmt: skip
    lag = run["client"]["lag_ms"]
    accuracy = "" if run["accuracy"] is None else f", accuracy {run['accuracy']:.2%}"
    return (
        f"{run['model']}, repeat {run['repeat'] + 1}: {run['offered_per_second']:,.1f} offered, "
        f"{run['goodput_per_second']:,.1f} in time per second; "
        f"{', '.join(tail) or 'too few answers for quantiles'}{accuracy}; "
        f"client late by {lag.get('p99', lag['max']):.2f} ms"
    )
