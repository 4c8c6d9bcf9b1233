"""A large file is read once while nothing says that it has changed, and again in every doubt."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nestling.models import CheckpointError
from nestling.models.checkpoint import integrity, load, remembered, weights
from nestling.models.checkpoint.integrity import sha256_of, verify
from nestling.models.checkpoint.manifest import read_manifest
from nestling.models.checkpoint.remembered import fact_of
from nestling.models.checkpoint.save import write_weights

LARGE = b"x" * 2**20


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, on whatever file system tests run; files count as settled at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(remembered, "SETTLED", -1.0)
    monkeypatch.setattr(remembered, "_is_local", lambda _: True)
    return tmp_path / "home" / "nestling" / "verified"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read to be hashed."""
    found: list[Path] = []

    def read(path: Path) -> str:
        found.append(path)
        return sha256_of(path)

    monkeypatch.setattr(integrity, "sha256_of", read)
    return found


def test_a_file_is_hashed_once(file: Path, reads: list[Path]) -> None:
    sha256 = sha256_of(file)
    for _ in range(3):
        verify(file, sha256)
        with pytest.raises(CheckpointError, match="truncated or altered"):
            verify(file, "0" * 64)
    assert reads == [file]


def rewritten(file: Path) -> None:
    file.write_bytes(b"y" + LARGE[1:])


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"y" + LARGE[1:])
    other.replace(file)


def dated_back(file: Path) -> None:
    """As a copy that keeps times does: the ctime tells it."""
    before = file.stat()
    rewritten(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [rewritten, replaced, dated_back])
def test_what_has_changed_is_read_again(
    file: Path, reads: list[Path], change: Callable[[Path], None]
) -> None:
    sha256 = sha256_of(file)
    verify(file, sha256)
    change(file)
    with pytest.raises(CheckpointError, match="truncated or altered"):
        verify(file, sha256)
    assert len(reads) == 2


def test_what_was_changed_just_now_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch, file: Path, reads: list[Path], home: Path
) -> None:
    monkeypatch.setattr(remembered, "SETTLED", 5.0)
    verify(file, sha256_of(file))
    verify(file, sha256_of(file))
    assert len(reads) == 2
    assert not home.exists()
    later = time.time() + 60
    monkeypatch.setattr(remembered.time, "time", lambda: later)
    verify(file, sha256_of(file))
    verify(file, sha256_of(file))
    assert len(reads) == 3


def test_what_changes_while_it_is_read_is_not_remembered(file: Path) -> None:
    with fact_of(file, "sha256") as fact:
        rewritten(file)
        fact.value = "of the file before"
    with fact_of(file, "sha256") as fact:
        assert fact.value is None


def test_small_files_and_those_of_a_network_are_read_each_time(
    monkeypatch: pytest.MonkeyPatch, file: Path, reads: list[Path], tmp_path: Path, home: Path
) -> None:
    small = tmp_path / "small"
    small.write_bytes(LARGE[1:])
    for _ in range(2):
        verify(small, sha256_of(small))
    monkeypatch.setattr(remembered, "_is_local", lambda _: False)
    for _ in range(2):
        verify(file, sha256_of(file))
    assert reads == [small, small, file, file]
    assert not home.exists()


@pytest.mark.parametrize("of", ["the folder", "the file"])
def test_what_others_may_write_is_not_trusted(
    file: Path, reads: list[Path], home: Path, of: str
) -> None:
    verify(file, sha256_of(file))
    (place,) = home.iterdir()
    (home if of == "the folder" else place).chmod(0o777)
    verify(file, sha256_of(file))
    assert len(reads) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": 1}'])
def test_what_is_damaged_is_made_anew(
    file: Path, reads: list[Path], home: Path, content: str
) -> None:
    verify(file, sha256_of(file))
    (place,) = home.iterdir()
    place.write_text(content)
    for _ in range(2):
        verify(file, sha256_of(file))
    assert len(reads) == 2


def test_without_a_place_to_remember_all_is_read(
    monkeypatch: pytest.MonkeyPatch, file: Path, reads: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    for _ in range(2):
        verify(file, sha256_of(file))

    def nowhere(_: str) -> Path:
        raise RuntimeError("no home directory")

    monkeypatch.setattr(remembered, "cache_home", nowhere)
    verify(file, sha256_of(file))
    assert len(reads) == 3


def test_file_systems_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: Path
) -> None:
    monkeypatch.undo()
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(remembered, "MOUNTS", mounts)
    line = "{} 28 0:5 / {} rw shared:1 - {} source rw\n"
    network = line.format(30, str(tmp_path), "nfs4")
    mounts.write_text(line.format(29, "/", "ext4"))
    assert remembered._is_local(file)
    mounts.write_text(line.format(29, "/", "ext4") + network)
    assert not remembered._is_local(file)
    mounts.write_text(network + line.format(31, str(tmp_path), "tmpfs"))  # on top of the other
    assert remembered._is_local(file)
    mounts.unlink()
    assert not remembered._is_local(file)


@pytest.mark.parametrize("by", ["torch", "numpy"])
def test_weights_that_are_finite_are_looked_at_once(
    monkeypatch: pytest.MonkeyPatch, checkpoint_dir: Path, by: str
) -> None:
    monkeypatch.setattr(remembered, "SMALLEST", 0)
    module, name = (load, "_is_finite") if by == "torch" else (weights, "is_finite")
    looked: list[object] = []
    monkeypatch.setattr(module, name, lambda weight: looked.append(weight) or True)

    def read() -> object:
        manifest = read_manifest(checkpoint_dir)
        return load.load_weights(manifest) if by == "torch" else weights.read_weights(manifest)

    read()
    assert looked
    looked.clear()
    read()
    assert looked == []


@pytest.mark.parametrize("by", ["torch", "numpy"])
def test_what_is_opened_before_another_takes_its_place_says_nothing_of_that(
    monkeypatch: pytest.MonkeyPatch, checkpoint_dir: Path, tmp_path: Path, by: str
) -> None:
    monkeypatch.setattr(remembered, "SMALLEST", 0)
    manifest = read_manifest(checkpoint_dir)
    module, name = (load, "load_file") if by == "torch" else (weights.np, "memmap")
    opened, other = getattr(module, name), tmp_path / "other"
    broken = {n: w.clone() for n, w in load.load_file(checkpoint_dir / "model.safetensors").items()}
    weight = next(iter(broken))
    broken[weight].fill_(float("nan"))
    write_weights(broken, other)

    def read() -> object:
        return load.load_weights(manifest) if by == "torch" else weights.read_weights(manifest)

    def and_replaced(*arguments: object, **named: object) -> object:
        found = opened(*arguments, **named)
        other.replace(checkpoint_dir / "model.safetensors")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(module, name, and_replaced)
        read()
    with pytest.raises(CheckpointError, match=re.escape(f"{weight}: ")):
        read()
