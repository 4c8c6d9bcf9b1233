"""Costs are found again in what they cause, and a real server can be measured."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from pathlib import Path

import numpy as np
import pytest

from nestling.capacity.errors import PlanError
from nestling.capacity.measuring.fit import fit
from nestling.capacity.measuring.loads import PERIODS, SIZES, Load, Loads, ObservedLoad
from nestling.capacity.measuring.measure import check_kind
from nestling.capacity.measuring.server import Counts, Cpu, MeasuredServer
from nestling.loadtest.texts import Texts
from nestling.models.checkpoint.manifest import Manifest, read_manifest

COOLING = 0.003
REQUEST, TEXT, LOOP_COLD, TICK = 3e-4, 2e-5, 4e-4, 1e-4
WATCH = 0.05
BATCH, STEP = 1e-4, 4e-5
FIXED, TOKEN, WORKER_COLD = {"tiny": 5e-4, "ta": 2e-3}, {"tiny": 4e-6, "ta": 1e-4}, 1e-3
LENGTHS = [5, 7, 8, 9, 11, 14]
WAKING = 6e-5


def cold(pause: float) -> float:
    return 1 - exp(-max(pause, 0.0) / COOLING)


def observe(load: Load, rng: np.random.Generator) -> ObservedLoad:
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
        loop += BATCH + STEP * load.texts + 2 * WAKING
    worker = WORKER_COLD * cold(cycle - batch)
    return ObservedLoad(
        load,
        Cpu(
            (loop + TICK * cycle / WATCH) * count,
            0.0,
            (compute + worker) * count,
            round((2 + cycle / WATCH) * count),
        ),
        Counts(count, count * load.texts, batch * count),
        cycle * count,
        count,
        client * count,
        np.full(count, latency),
        rows,
        device,
    )


def meet(load: Load, batches: float, texts: float, sleeps: float) -> ObservedLoad:
    """The same of requests that meet. batches, texts, sleeps: for each request."""
    count = 1000
    idle = 4e-4 * sleeps
    loop = REQUEST + TEXT * load.texts + BATCH * batches + STEP * texts
    loop += sleeps * (WAKING + LOOP_COLD * cold(4e-4))
    cycle = (loop + idle) / (1 - TICK / WATCH)
    spent = loop + TICK * cycle / WATCH
    worker = 0.0
    for _ in range(20):
        each = FIXED["tiny"] + WORKER_COLD * cold((cycle - worker) / batches)
        worker = batches * each + TOKEN["tiny"] * LENGTHS[0]
    return ObservedLoad(
        load,
        Cpu(spent * count, 0.0, worker * count, round((sleeps + cycle / WATCH) * count)),
        Counts(count * batches, count * texts, count * 1e-3),
        cycle * count,
        count,
        count * 1e-4,
        np.full(count, 1e-2),
        np.zeros((count, load.texts), np.int32),
        np.full(count, 1e-3),
    )


def _padded(rows: np.ndarray[tuple[int], np.dtype[np.int32]]) -> int:
    return max(LENGTHS[row] for row in rows) * len(rows)


def test_costs_are_found_again_in_what_they_cause() -> None:
    rng = np.random.default_rng(0)
    loads = [Load(student, size) for student in FIXED for size in SIZES]
    loads += [Load(student, 1, period) for student in FIXED for period in PERIODS]
    observed = [observe(load, rng) for load in loads]
    for sleeps in (0.0, 0.1, 0.4, 1.0):
        for batches in (0.05, 0.2, 0.6):
            observed.append(meet(Load("tiny", 1, 0.0, 16), batches, 1.0, sleeps))
            observed.append(meet(Load("auto", 1, 1e-3, stream=0.3), batches, 1.3, sleeps))
    costs, table = fit(observed, LENGTHS, TICK, WATCH)
    assert costs.worker.padded
    assert costs.cooling == pytest.approx(COOLING, rel=0.35)
    assert costs.engine.batch == pytest.approx(BATCH, rel=0.2)
    # In pauses as short as these, who wakes up is not yet cold.
    slept = costs.loop.waking + costs.loop.cold * (1 - exp(-4e-4 / costs.cooling))
    assert slept == pytest.approx(WAKING + LOOP_COLD * cold(4e-4), rel=0.1)
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
        for measured, fitted in (row[name] for name in ("loop", "worker") if name in row):
            assert fitted == pytest.approx(measured, rel=0.15)


def test_how_fast_the_machine_was_is_found_in_what_batches_took() -> None:
    rng = np.random.default_rng(0)
    loads = [Load("ta", size, period) for size in SIZES for period in (0.0, 1.0)]
    usual = [observe(load, rng) for load in loads for _ in range(2)]
    slow = replace(usual[0], device=2 * usual[0].device)
    costs, _ = fit([*usual, slow], LENGTHS, TICK, WATCH)
    assert len(costs.speeds.seconds) == len(costs.speeds.speed) == 40 * 17
    assert np.mean(costs.speeds.speed[:-40]) == pytest.approx(1.0, rel=0.1)
    assert np.mean(costs.speeds.speed[-40:]) == pytest.approx(0.5, rel=0.1)
    assert costs.speeds.seconds[-40:] == pytest.approx(slow.device.tolist(), rel=0.01)


@pytest.mark.parametrize("kind", ["pairs", "texts"])
def test_texts_of_the_other_kind_are_refused(
    checkpoint_dir: Path, pair_checkpoint_dir: Path, kind: str
) -> None:
    of_texts, of_pairs = read_manifest(checkpoint_dir), read_manifest(pair_checkpoint_dir)
    sent = Texts(("play", "six") if kind == "texts" else (("play", "six"),), ("a",), "x", "")
    right, wrong = (of_texts, of_pairs) if kind == "texts" else (of_pairs, of_texts)
    check_kind(right, sent, Path("x.jsonl"))
    with pytest.raises(PlanError, match=r"^x.jsonl: has .*`text_pair`|pairs of texts"):
        check_kind(wrong, sent, Path("x.jsonl"))


def test_a_real_server_is_measured(
    calibrated_dir: Path, manifest: Manifest, texts: list[str]
) -> None:
    sent = Texts(tuple(texts), ("alarm",) * len(texts), "texts.jsonl", "")
    with MeasuredServer(calibrated_dir, "--target-delay-ms", "0") as server:
        observed = Loads(server, sent, 0)
        with observed._generator(1) as generator:
            found = observed.observe(generator, Load("tiny", 4))
    assert found.rows.shape == (found.requests, 4)
    assert found.counts.batches == found.requests
    assert found.counts.texts == 4 * found.requests
    for spent in (found.cpu.loop, found.cpu.worker, found.client):
        assert 0 < spent < found.seconds
    assert (found.device > 0).all()
    assert (found.latency > found.device).all()
