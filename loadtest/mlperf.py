"""MLPerf Inference scenarios: its own load generator decides what is sent when, and judges.

https://github.com/mlcommons/inference/tree/master/loadgen; arXiv:1911.02549, sections 4 and 6. The
requests go through the same client as every other load. The generator does not know failed
requests: they are completed like the others, and a single one makes the verdict INVALID here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import LoadtestError
from .request_sender import RequestSender, ScheduledRequest
from .scenario import Rules, Scenario
from .setup import Setup

PREFIX = ":::MLLOG "
VALID, INVALID = "VALID", "INVALID"
FASTEST = 5e-4
"""Seconds. The generator makes its queries beforehand, for twice the time at this speed each: with
a server that answers faster it runs out of them before the time is over, which is INVALID.
"""


@dataclass(frozen=True)
class MlperfResult:
    """The generator's verdict, VALID or INVALID, and every `result_…` of its log."""

    verdict: str
    results: dict[str, Any]


def generate(
    setup: Setup, rules: Rules, sender: RequestSender, batch: int, logs: Path
) -> MlperfResult:
    """Run the generator, with its logs in a folder. batch: the most texts of a request.

    Raises LoadtestError if it is not installed.
    """
    try:
        import mlperf_loadgen as lg
    except ImportError as error:
        raise LoadtestError(
            "mlperf_loadgen: not installed; this command needs the extra `loadtest`: "
            "pip install '.[loadtest]' in Nestling's source tree"
        ) from error
    flushed = threading.Event()

    def complete(samples: Sequence[int]) -> None:
        lg.QuerySamplesComplete([lg.QuerySampleResponse(sample, 0, 0) for sample in samples])

    def issue(samples: Sequence[Any]) -> None:
        now = time.monotonic()
        for at in range(0, len(samples), batch):
            some = samples[at : at + batch]
            sender.send(ScheduledRequest([s.index for s in some], now, _done(complete, some)))

    count = len(setup.texts)
    sut = lg.ConstructSUT(issue, flushed.set)
    library = lg.ConstructQSL(count, count, lambda _: None, lambda _: None)
    logs.mkdir(parents=True, exist_ok=True)
    log = lg.LogSettings()
    log.log_output.outdir = str(logs)
    log.log_output.copy_summary_to_stdout = False
    log.enable_trace = False
    try:
        lg.StartTestWithLogSettings(sut, library, _settings(lg, setup, rules), log)
    finally:
        lg.DestroyQSL(library)
        lg.DestroySUT(sut)
    return read_verdict(logs / "mlperf_log_detail.txt")


def read_verdict(log: Path) -> MlperfResult:
    """Read the generator's log. Raises LoadtestError for a log without a verdict."""
    results = {}
    for line in log.read_text("utf-8").splitlines():
        if line.startswith(PREFIX):
            entry = json.loads(line.removeprefix(PREFIX))
            if entry["key"].startswith("result_"):
                results[entry["key"].removeprefix("result_")] = entry["value"]
    if "validity" not in results:
        raise LoadtestError(f"{log}: the load generator gave no verdict")
    return MlperfResult(results.pop("validity"), results)


def _done(complete: Callable[[Sequence[int]], None], samples: Sequence[Any]) -> Callable[[], None]:
    ids = [sample.id for sample in samples]
    return lambda: complete(ids)


def _settings(lg: Any, setup: Setup, rules: Rules) -> Any:
    settings = lg.TestSettings()
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = round(1e3 * rules.seconds)
    settings.min_query_count = rules.queries
    for name in ("sample_index_rng_seed", "schedule_rng_seed", "qsl_rng_seed"):
        setattr(settings, name, setup.seed + 1)  # 0 would be taken for none
    if rules.scenario is Scenario.SINGLE_STREAM:
        settings.scenario = lg.TestScenario.SingleStream
        settings.single_stream_expected_latency_ns = round(1e9 * FASTEST)
    elif rules.scenario is Scenario.OFFLINE:
        settings.scenario = lg.TestScenario.Offline
        settings.offline_expected_qps = rules.rate
    else:
        settings.scenario = lg.TestScenario.Server
        settings.server_target_qps = rules.rate
        settings.server_target_latency_ns = round(1e6 * setup.objective_ms)
        settings.server_target_latency_percentile = 0.99
    return settings
