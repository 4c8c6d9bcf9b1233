"""Graphs are made once, kept, checked when they are read, and never shared by what differs."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from nestling.models import Checkpoint, CheckpointError
from nestling.models.checkpoint.integrity import sha256_of, verify
from nestling.models.checkpoint.manifest import Manifest, read_manifest
from nestling.models.checkpoint.save import write_weights
from nestling.models.precision import Precision
from nestling.models.runners.onnx import bundle, cache
from nestling.models.runners.onnx.cache import graphs_of
from nestling.models.runners.onnx.runner import OnnxRunner

from ...conftest import tiny_model, write_changed


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "nestling" / "onnx"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Contents of the folders that were written, in place of graphs."""
    contents: list[str] = []

    def write(manifest: object, precision: str, folder: Path) -> None:
        contents.append(f"graphs {len(contents)}, {precision}")
        (folder / "model").write_text(contents[-1])

    monkeypatch.setattr(bundle, "write_graphs", write)
    return contents


def read(manifest: Manifest, precision: Precision = "float32") -> str:
    with graphs_of(manifest, precision) as folder:
        return (folder / "model").read_text()


def test_the_second_time_it_is_read(checkpoint: Checkpoint, made: list[str]) -> None:
    assert read(checkpoint) == read(checkpoint) == "graphs 0, float32"
    assert read(read_manifest(checkpoint.path)) == "graphs 0, float32"
    assert len(made) == 1


def test_what_differs_has_a_graph_of_its_own(
    checkpoint: Checkpoint, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_changed(checkpoint.path, tiny_model(seed=7))
    relu = replace(checkpoint, architecture=replace(checkpoint.architecture, activation="relu"))
    few = replace(checkpoint, students={"ta": checkpoint.ta})
    found = {
        read(checkpoint),
        read(few),
        read(checkpoint, "int8"),
        read(read_manifest(other)),
        read(relu),
    }
    monkeypatch.setattr(cache, "version", lambda name: "9.9")
    found.add(read(checkpoint))
    assert len(found) == len(made) == 6


def test_what_other_code_made_is_not_read(
    checkpoint: Checkpoint, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of another way to round is enough."""
    before = read(checkpoint, "int8")

    def changed(file: Path) -> str:
        return "another" if file.name == "quantize.py" else sha256_of(file)

    monkeypatch.setattr(cache, "sha256_of", changed)
    assert read(checkpoint, "int8") != before


def test_what_is_damaged_is_made_anew(
    checkpoint: Checkpoint, home: Path, made: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    read(checkpoint)
    for name in ("model", "about.json"):
        (file,) = home.glob(f"*/{name}")
        file.write_text(file.read_text()[:-2])
        assert read(checkpoint) == made[-1]
        assert f"{file}: " in caplog.text
    assert len(made) == 3
    assert read(checkpoint) == made[2]


def test_two_servers_at_once_share_what_was_there_first(
    checkpoint: Checkpoint, home: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = bundle.write_graphs

    def slow(manifest: object, precision: str, folder: Path) -> None:
        monkeypatch.setattr(bundle, "write_graphs", write)
        read(checkpoint)  # the other server begins later and ends first
        (folder / "model").write_text("too late")

    monkeypatch.setattr(bundle, "write_graphs", slow)
    assert read(checkpoint) == "graphs 0, float32"
    assert len(list(home.iterdir())) == 1


def test_of_two_that_repair_one_the_later_deletes_nothing(
    checkpoint: Checkpoint, home: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(checkpoint)
    (file,) = home.glob("*/model")
    file.write_text("damaged")

    def verified(path: Path, sha256: str) -> None:
        monkeypatch.setattr(cache, "verify", verify)
        read(checkpoint)  # the other server begins later and ends first
        raise CheckpointError(path, "damaged, when it was read")

    monkeypatch.setattr(cache, "verify", verified)
    assert read(checkpoint) == "graphs 1, float32"
    assert made == ["graphs 0, float32", "graphs 1, float32"]
    assert [each.name for each in home.iterdir()] == [file.parent.name]


def test_a_cache_that_cannot_be_written_is_done_without(
    checkpoint: Checkpoint,
    tmp_path: Path,
    made: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with graphs_of(checkpoint, "int8") as folder:
        assert (folder / "model").read_text() == "graphs 0, int8"
    assert not folder.exists()
    assert read(checkpoint) == "graphs 1, float32"
    assert caplog.record_tuples[0][1] == logging.WARNING
    assert "no cache of graphs" in caplog.text


def test_an_error_leaves_nothing_behind(
    checkpoint: Checkpoint, home: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such operation")

    monkeypatch.setattr(bundle, "write_graphs", fail)
    with pytest.raises(ValueError, match="no such operation"):
        read(checkpoint)
    assert list(home.iterdir()) == []


def test_what_is_kept_needs_neither_the_builder_nor_the_weights(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = OnnxRunner(checkpoint)
    texts = [[1, 2, 3], [4] * 9]
    vectors = made.embed(texts, "small", 8)

    def never(*_: object) -> None:
        raise AssertionError("made anew")

    monkeypatch.setattr(bundle, "write_graphs", never)
    again = OnnxRunner(read_manifest(checkpoint.path))
    assert (again.embed(texts, "small", 8) == vectors).all()


@pytest.mark.parametrize("writable", [True, False])
def test_vectors_in_int8_need_nothing_that_is_not_there_at_start(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    """Nor that the checkpoint stays where it was."""
    vectors = OnnxRunner(checkpoint).embed([[1, 2, 3]], "small", 8)
    if not writable:
        (tmp_path / "another").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    runner = OnnxRunner(checkpoint, "int8")

    def never(*_: object) -> None:
        raise AssertionError("made while serving")

    monkeypatch.setattr(bundle, "write_graphs", never)
    checkpoint.path.rename(tmp_path / "elsewhere")
    assert (runner.embed([[1, 2, 3]], "small", 8) == vectors).all()


def test_students_of_a_width_share_one_table(checkpoint: Checkpoint) -> None:
    with graphs_of(checkpoint, "float32") as folder:
        widths = {student.spec.dim for student in checkpoint.students.values()}
        tables = list(folder.glob("*.tokens"))
        assert {int(table.stem) for table in tables} == widths
        rows = checkpoint.architecture.vocabulary
        assert all(t.stat().st_size == 4 * rows * int(t.stem) for t in tables)


def test_weights_that_were_replaced_meanwhile_leave_nothing_behind(
    checkpoint: Checkpoint, home: Path
) -> None:
    """Else their graphs would be served for ever as those of the weights of before."""
    manifest = read_manifest(checkpoint.path)
    write_weights(tiny_model(seed=7).state_dict(), checkpoint.path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: its sha256 is"):
        OnnxRunner(manifest)
    assert list(home.iterdir()) == []
