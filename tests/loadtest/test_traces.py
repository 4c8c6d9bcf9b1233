"""Traces of the forms that are read, made on the fly."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest

from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.traffic.traces import Trace, read_trace, replay


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def dates(tmp_path: Path) -> Path:
    """As Azure publishes them."""
    path = tmp_path / "dates.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("TIMESTAMP,ContextTokens,GeneratedTokens\n")
        for second in (46.5, 47.0, 47.25, 49.5, 50.5):
            file.write(f"2023-11-16 18:15:{second:010.7f},374,44\n")
    return path


def test_dates_become_seconds_from_the_first(dates: Path) -> None:
    trace = read_trace(dates)
    assert trace.moments == pytest.approx([0, 0.5, 0.75, 3, 4])
    found, rate = replay(trace, 4.5, rng())
    assert found == pytest.approx([0, 0.5, 0.75, 3, 4])
    assert rate == pytest.approx(5 / 4.5)


def test_time_is_scaled_and_a_stretch_is_cut(dates: Path) -> None:
    found, _ = replay(read_trace(dates), 2, rng(), speed=2, begin=0.5)
    assert found == pytest.approx([0, 0.125, 1.25, 1.75])


@pytest.mark.parametrize("rate", [2.0, 30.0, 35.0])
def test_the_rate_is_scaled_by_dropping_and_doubling(rate: float) -> None:
    steady = Trace("steady", moments=np.arange(0, 100, 0.1))
    found, mean = replay(steady, 99, rng(), rate=rate)
    assert mean == rate
    assert len(found) / 99 == pytest.approx(rate, rel=0.2)
    assert (np.diff(found) >= 0).all()


def test_requests_per_second(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt.xz"
    with lzma.open(path, "wt") as file:
        file.write(" ".join(["100"] * 10 + ["300"] * 10) + "\n")
    trace = read_trace(path)
    assert trace.seconds == 20
    found, rate = replay(trace, 20, rng())
    assert rate == 200
    counts = np.bincount(found.astype(int) // 10)
    assert counts[1] / counts[0] == pytest.approx(3, rel=0.2)
    found, rate = replay(trace, 5, rng(), rate=20, speed=4)
    assert rate == 20
    assert len(found) == pytest.approx(100, abs=50)
    assert found[-1] < 5


def test_a_moment_in_each_line(tmp_path: Path) -> None:
    path = tmp_path / "moments.txt"
    path.write_text("10\n12.5\n11\n")
    assert read_trace(path).moments == pytest.approx([0, 1, 2.5])


@pytest.mark.parametrize("text", ["", "a b c\n", "5\n", "3\n3\n", "1 -2 3\n", "x,y\nno date,1\n"])
def test_a_file_that_is_no_trace(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(text)
    with pytest.raises(LoadtestError, match=r"trace\.txt"):
        read_trace(path)


def test_a_stretch_outside_of_the_trace(dates: Path) -> None:
    with pytest.raises(LoadtestError, match="lasts 4 s; 30 s at speed 1 from 0 s on end at 30 s"):
        replay(read_trace(dates), 30, rng())
