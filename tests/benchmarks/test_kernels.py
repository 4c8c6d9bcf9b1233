"""What measures the kernels on a GPU, without one: small shapes in Triton's interpreter."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.kernels import tuning, versions
from benchmarks.kernels.__main__ import ran
from benchmarks.kernels.candidates import CANDIDATES
from benchmarks.kernels.ceilings import Ceilings, measure
from benchmarks.kernels.cells import attention, cascades, gate, linear, norm
from benchmarks.kernels.cells.row import Work, judged
from benchmarks.kernels.checks import gate as gate_checks
from benchmarks.kernels.checks import linear as linear_checks
from benchmarks.kernels.checks import norm as norm_checks
from benchmarks.kernels.checks import set_gate as set_gate_checks
from benchmarks.kernels.checks.check import check, differing
from benchmarks.kernels.clock import Clock, Timed, Timing
from benchmarks.kernels.record import Record
from benchmarks.kernels.shapes import FULL, REHEARSED, products
from benchmarks.kernels.targets import TARGETS, geometric_mean, reached
from nestling.kernels import tiles

CPU = torch.device("cpu")
CEILINGS = Ceilings(4e12, {"bfloat16": 8e14, "tf32": 4e14, "float32": 5e13}, 2e-6)


@pytest.mark.parametrize("operation", [linear, norm, gate, attention])
def test_every_cell_has_a_share_and_a_rival(operation: Any) -> None:
    clock = Clock(CPU, repeats=1, calls=1)
    ceilings = measure(clock, 2**10, 16)
    for title, run in operation.cells(clock, ceilings, REHEARSED)[:4]:
        row = run()
        assert row["share"] > 0, title
        assert row["speedup"] > 0
        assert row["rival"] in row["seconds"]
        assert row.get("passed", True)


@pytest.mark.slow
def test_a_cascade_is_timed_with_its_rivals() -> None:
    [(_, run)] = cascades.ours_alone(Clock(CPU, repeats=1, calls=1), REHEARSED)
    row = run()
    assert set(row["launched"]["speedup"]) == {cascades.GROUPS, cascades.ALONE}
    assert row["tokens"] == 16
    assert "passed" not in row


@pytest.mark.parametrize("checks", [linear_checks, norm_checks, gate_checks, set_gate_checks])
def test_a_check_says_what_it_found(checks: Any) -> None:
    title, run = checks.checks(CPU)[0]
    row = run()
    assert {"name", "dtype", "shape", "error", "bound", "passed"} <= set(row), title
    assert row["passed"]
    assert run()["error"] == row["error"]  # from a seed


def test_nan_is_never_right() -> None:
    assert not check("x", torch.float32, (1,), float("nan"), 1.0)["passed"]
    nan = torch.tensor([1.0, float("nan")])
    assert differing(nan, nan) == 1


def test_the_floor_is_the_slower_of_memory_and_arithmetic_and_a_launch() -> None:
    assert CEILINGS.floor(4e6, 8e8, torch.bfloat16) == pytest.approx(3e-6)
    assert CEILINGS.floor(4e6, 8e10, torch.bfloat16) == pytest.approx(1.02e-4)
    assert CEILINGS.floor(0, 4e8, torch.float32) == pytest.approx(5e-6)  # three products in tf32


def test_what_a_mixed_batch_needs_counts_the_weight_once() -> None:
    work = linear.needed([3, 0, 5], [(4, 8), (100, 100), (6, 2)], torch.bfloat16)
    assert work.moved == 2 * (6 * 8 + 6 + 3 * (4 + 8) + 5 * (6 + 2))
    assert work.operations == 2 * (3 * 4 * 8 + 5 * 6 * 2)


def test_the_fastest_rival_counts_and_a_failed_one_is_told() -> None:
    timings = {name: Timing(s, s, s) for name, s in (("ours", 4.0), ("a", 6.0), ("b", 5.0))}
    row = judged(Timed(timings, {"c": "no"}), Work(0, 0, torch.bfloat16), CEILINGS)
    assert (row["rival"], row["speedup"]) == ("b", 1.25)
    assert row["errors"] == {"c": "no"}
    assert not row["passed"]
    only = judged(
        Timed({"a": Timing(1, 1, 1)}, {"ours": "no"}), Work(0, 0, torch.float32), CEILINGS
    )
    assert "share" not in only


def best_share(moved: float, launch: float) -> float:
    """Of the bandwidth of an H200, whose data sheet says 4.8 TB/s."""
    return moved / 4.8e12 / (moved / 4.8e12 + launch)


def test_why_a_share_of_the_copy_bandwidth_was_no_target() -> None:
    """The numbers of docs/kernels.md, over the cells that are measured."""
    sizes = [[(int(w * n), int(w * k)) for w in FULL.widths] for _, n, k in products(FULL)]
    moved = [
        linear.needed([rows], [size], torch.bfloat16).moved
        for layer in sizes
        for rows in (1, 8, 64)
        for size in layer
    ]
    moved += [
        linear.needed([rows // 4] * 4, layer, torch.bfloat16).moved
        for layer in sizes
        for rows in (8, 64)
    ]
    page = " ".join((versions.ROOT / "docs" / "kernels.md").read_text("utf-8").split())
    best = {
        launch: round(100 * geometric_mean([best_share(each, launch * 1e-6) for each in moved]))
        for launch in (1, 1.5, 3)
    }
    first, middle, last = (f"{share} % with" for share in best.values())
    assert f"at best {first} a launch of 1 µs, {middle} 1.5 µs and {last} 3 µs" in page
    minilm, eighth = (
        linear.needed([64], [size], torch.bfloat16).moved for size in ((1536, 384), (384, 96))
    )
    shares = [round(100 * best_share(m, s)) for m in (minilm, eighth) for s in (1e-6, 3e-6)]
    assert f"= {shares[0]} % and {shares[1]} % with 3 µs" in page
    assert f"reads {eighth / 1e6:.2f} MB, and has {shares[2]} % and {shares[3]} %." in page


def test_targets_without_a_card_are_not_measured() -> None:
    cells = [
        {"kind": kind, "rows": rows, "dtype": dtype, "share": share, "speedup": 2 * share}
        for kind in ("sliced", "grouped")
        for rows, share in ((64, 0.5), (512, 0.72), (4096, 0.98))
        for dtype in ("bfloat16", "float32")
    ]
    rows = reached({"device": "cuda", "linear": cells})
    assert [row["measured"] for row in rows] == [0.84, 0.5, 0.84, 0.5, 1.413]
    assert [row["met"] for row in rows] == [True, False, True, False, True]
    for found in ({}, {"device": "cpu", "linear": cells}, {"device": "cuda", "linear": []}):
        assert [row["measured"] for row in reached(found)] == [None] * len(TARGETS)


def test_the_targets_are_those_that_the_docs_keep() -> None:
    kept = json.loads((versions.ROOT / "docs" / "benchmarks" / "targets.json").read_text("utf-8"))
    by_figure = {row["figure"]: row for row in kept}
    for target in TARGETS:
        assert by_figure[target.figure]["target"] == f"at least {target.least}"


def test_versions_without_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", missing)
    found = versions.versions("torch")
    assert found["torch"] == "unknown"
    assert found["nestling"].count(".") == 2


def test_tuning_replaces_the_choices_of_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "tiles.json"
    copy.write_bytes(tiles.CHOICES.read_bytes())
    monkeypatch.setattr(tiles, "CHOICES", copy)
    small = dict.fromkeys(tiles.ROW_CLASSES, (2,)), dict.fromkeys(tiles.COLUMN_CLASSES, ((5, 3),))
    rows = [run() for _, run in tuning.cells(Clock(CPU, repeats=1, calls=1), *small)]
    tuning.keep(tuning.chosen(rows), "sm_90", "a test")
    read = json.loads(copy.read_text("utf-8"))
    assert read["measured_on"]["sm_90"] == "a test"
    assert read["measured_on"]["sm_80"] != "a test"
    for dtype in (torch.bfloat16, torch.float32):
        x = torch.zeros(3, 8, dtype=dtype)
        assert tiles.tile_for(x, 8, 8) in CANDIDATES["sm_90"][tiles.kind(dtype)]
    tiles.choices.cache_clear()


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    assert not ran(Record("kernels", tmp_path, 1e12, 0.0), "cuda:99")
    found = json.loads((tmp_path / "kernels.json").read_text("utf-8"))
    assert found["state"] == "not run"
    assert found["why"].startswith("cuda:99: no such CUDA device; torch sees")


def test_a_record_goes_on_and_is_whole_at_every_moment(tmp_path: Path) -> None:
    record = Record("linear", tmp_path, 1e12, 0.0)

    def read() -> Any:
        return json.loads((tmp_path / "linear.json").read_text("utf-8"))

    def broken() -> Any:
        assert read()["checks"][0]["name"] == "first"
        raise ValueError("no")

    assert read()["state"] == "incomplete"
    record.rows(
        "checks",
        [
            ("first", lambda: {"name": "first", "passed": True}),
            ("second", broken),
            ("third", lambda: {"error": float("nan"), "bound": 1, "passed": False}),
        ],
    )
    assert not record.finish()
    found = read()
    assert found["failures"] == ["second: ValueError: no", "third: nan is beyond 1"]
    assert found["state"] == "failed"
    assert found["checks"][2]["error"] == "nan"


def test_who_has_no_time_left_says_how_much_was_left_out(tmp_path: Path) -> None:
    record = Record("linear", tmp_path, 0, 0.0)
    record.rows("checks", [("a", dict), ("b", dict)])
    assert not record.finish()
    found = json.loads((tmp_path / "linear.json").read_text("utf-8"))
    assert (found["state"], found["left_out"], found["checks"]) == ("cut short", 2, [])
