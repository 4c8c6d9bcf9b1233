"""Graphs are made once, kept, checked when they are read, and never shared by what differs."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from nestling.models import Checkpoint, load_checkpoint
from nestling.models.checkpoint.integrity import sha256_of
from nestling.models.runners.onnx import cache, graph_of

from ...conftest import tiny_model, write_changed


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "nestling" / "onnx"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Contents of the graphs that were written, in place of graphs."""
    contents: list[str] = []

    def write(_: object, weights: object, spec: object, path: Path, precision: str) -> None:
        contents.append(f"graph {len(contents)}, {precision}")
        path.write_text(contents[-1])

    monkeypatch.setattr(cache, "write_graph", write)
    return contents


def read(checkpoint: Checkpoint, student: str = "tiny", precision: str = "float32") -> str:
    with graph_of(checkpoint, checkpoint.students[student].spec, precision) as file:
        return file.read_text()


def test_the_second_time_it_is_read(checkpoint: Checkpoint, made: list[str]) -> None:
    assert read(checkpoint) == read(checkpoint) == "graph 0, float32"
    assert read(load_checkpoint(checkpoint.path)) == "graph 0, float32"
    assert len(made) == 1


def test_what_differs_has_a_graph_of_its_own(
    checkpoint: Checkpoint, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_changed(checkpoint.path, tiny_model(seed=7))
    relu = replace(checkpoint, architecture=replace(checkpoint.architecture, activation="relu"))
    found = {
        read(checkpoint),
        read(checkpoint, "small"),
        read(checkpoint, precision="int8"),
        read(load_checkpoint(other)),
        read(relu),
    }
    monkeypatch.setattr(cache, "version", lambda name: "9.9")
    found.add(read(checkpoint))
    assert len(found) == len(made) == 6


def test_what_other_code_made_is_not_read(
    checkpoint: Checkpoint, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of another way to round is enough."""
    before = read(checkpoint, precision="int8")

    def changed(file: Path) -> str:
        return "another" if file.name == "quantize.py" else sha256_of(file)

    monkeypatch.setattr(cache, "sha256_of", changed)
    assert read(checkpoint, precision="int8") != before


def test_what_is_damaged_is_made_anew(
    checkpoint: Checkpoint, home: Path, made: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    read(checkpoint)
    for name in ("model.onnx", "about.json"):
        (file,) = home.glob(f"*/{name}")
        file.write_text(file.read_text()[:-2])
        assert read(checkpoint) == made[-1]
        assert f"{file}: " in caplog.text
    assert len(made) == 3
    assert read(checkpoint) == made[2]


def test_two_servers_at_once_share_what_was_there_first(
    checkpoint: Checkpoint, home: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = cache.write_graph

    def slow(_: object, weights: object, spec: object, path: Path, precision: str) -> None:
        monkeypatch.setattr(cache, "write_graph", write)
        read(checkpoint)  # the other server begins later and ends first
        path.write_text("too late")

    monkeypatch.setattr(cache, "write_graph", slow)
    assert read(checkpoint) == "graph 0, float32"
    assert len(list(home.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_done_without(
    checkpoint: Checkpoint,
    tmp_path: Path,
    made: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with graph_of(checkpoint, checkpoint.ta.spec, "int8") as file:
        assert file.read_text() == "graph 0, int8"
    assert not file.exists()
    assert read(checkpoint) == "graph 1, float32"
    assert caplog.record_tuples[0][1] == logging.WARNING
    assert "no cache of graphs" in caplog.text


def test_an_error_leaves_nothing_behind(
    checkpoint: Checkpoint, home: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such operation")

    monkeypatch.setattr(cache, "write_graph", fail)
    with pytest.raises(ValueError, match="no such operation"):
        read(checkpoint)
    assert list(home.iterdir()) == []
