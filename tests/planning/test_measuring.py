"""Costs are found again in what they cause, and a real server can be measured."""

from __future__ import annotations

import os
from math import exp
from pathlib import Path

import numpy as np
import pytest

from nestling.loadtest.texts import Texts
from nestling.models.manifest import Manifest
from nestling.planning.measuring.fit import fit
from nestling.planning.measuring.loads import PERIODS, SIZES, Load, Loads, Observed
from nestling.planning.measuring.pauses import LEAST, watch
from nestling.planning.measuring.server import Counts, Cpu, MeasuredServer
from nestling.planning.profile.costs import Pauses

COOLING = 0.003
REQUEST, TEXT, LOOP_COLD, TICK = 3e-4, 2e-5, 4e-4, 1e-4
BATCH, STEP = 1e-4, 4e-5
FIXED, TOKEN, WORKER_COLD = {"tiny": 5e-4, "ta": 2e-3}, {"tiny": 4e-6, "ta": 1e-4}, 1e-3
LENGTHS = [5, 7, 8, 9, 11, 14]
PAUSES = Pauses(2.0, (1e-3, 4e-3))


def cold(pause: float) -> float:
    return 1 - exp(-max(pause, 0.0) / COOLING)


def observe(load: Load, rng: np.random.Generator) -> Observed:
    """What a server with these costs would show, one request at a time."""
    count = 40
    rows = rng.integers(0, len(LENGTHS), (count, load.texts)).astype(np.int32)
    device = np.array([FIXED[load.model] + TOKEN[load.model] * _padded(each) for each in rows])
    compute = float(device.mean())
    client = 1e-4
    loop = 0.0
    cycle = load.period
    for _ in range(20):  # pauses depend on times, and times on pauses
        batch = compute + WORKER_COLD * cold(cycle - compute)
        latency = loop + batch
        cycle = max(load.period, latency + client)
        between = max(cycle - latency, client)
        loop = REQUEST + TEXT * load.texts + LOOP_COLD * (cold(between) + cold(batch))
        loop += BATCH + STEP * load.texts
    worker = WORKER_COLD * cold(cycle - batch)
    return Observed(
        load,
        Cpu((loop + TICK * cycle / 0.05) * count, 0.0, (compute + worker) * count),
        Counts(count, count * load.texts, batch * count),
        cycle * count,
        count,
        client * count,
        np.full(count, latency),
        rows,
        device,
    )


def _padded(rows: np.ndarray[tuple[int], np.dtype[np.int32]]) -> int:
    return max(LENGTHS[row] for row in rows) * len(rows)


def test_costs_are_found_again_in_what_they_cause() -> None:
    rng = np.random.default_rng(0)
    loads = [Load(student, size) for student in FIXED for size in SIZES]
    loads += [Load(student, 1, period) for student in FIXED for period in PERIODS]
    costs, table = fit([observe(load, rng) for load in loads], LENGTHS, TICK, 0.05, PAUSES)
    assert costs.worker.padded
    assert costs.pauses == PAUSES
    assert costs.cooling == pytest.approx(COOLING, rel=0.35)
    # One request at a time does not tell a batch from a request.
    for texts in (1, 64):
        found = 2 * (costs.loop.half(texts) + costs.engine.half(texts))
        expected = REQUEST + BATCH + texts * (TEXT + STEP)
        assert found == pytest.approx(expected, rel=0.1)
    for student in FIXED:
        assert costs.worker.students[student].cold == pytest.approx(WORKER_COLD, rel=0.25)
        lengths = [9] * 32
        expected = FIXED[student] + TOKEN[student] * 9 * 32
        assert sum(costs.worker.seconds(student, lengths)) == pytest.approx(expected, rel=0.1)
    for row in table:
        measured, fitted = row["worker"]
        assert fitted == pytest.approx(measured, rel=0.15)


def test_a_real_server_is_measured(
    calibrated_dir: Path, manifest: Manifest, texts: list[str]
) -> None:
    sent = Texts(tuple(texts), ("alarm",) * len(texts), "texts.jsonl", "")
    with MeasuredServer(calibrated_dir, "--target-delay-ms", "0") as server:
        observed = Loads(server, sent, 0)
        with observed.bench(1) as bench:
            found = observed.observe(bench, Load("tiny", 4))
    assert found.rows.shape == (found.requests, 4)
    assert found.counts.batches == found.requests
    assert found.counts.texts == 4 * found.requests
    for spent in (found.cpu.loop, found.cpu.worker, found.client):
        assert 0 < spent < found.seconds
    assert (found.device > 0).all()
    assert (found.latency > found.device).all()


def test_a_machine_is_watched() -> None:
    cores = sorted(os.sched_getaffinity(0))[:2]
    found = watch(cores, 0.5)
    assert len(found.seconds) == round(found.per_second * 0.5 * len(cores))
    assert all(LEAST <= each < 10 for each in found.seconds)
    assert list(found.seconds) == sorted(found.seconds)
