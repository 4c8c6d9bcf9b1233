"""The file that is written gets its name when it is whole, and never another's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nestling.models.errors import NestlingError
from nestling.models.offline.output import PartialFile
from nestling.models.offline.table import Tally
from nestling.models.offline.work import AnsweredBlock

Make = Callable[[Path, Path], None] | None
BLOCK = AnsweredBlock(b"a row\n", Tally(1, 1))


def copy(partial: Path, whole: Path) -> None:
    whole.write_bytes(partial.read_bytes())


def write(out: Path, make: Make, meanwhile: Callable[[], object] = lambda: None) -> PartialFile:
    """All three rows of a file, or those that are not there yet."""
    with PartialFile(out, {"input": "x"}, b"head\n") as file:
        if not file.finished_before:
            for _ in range(file.done.blocks, 3):
                file.add(BLOCK)
            meanwhile()
            file.finish(make)
    return file


@pytest.mark.parametrize("make", [None, copy])
def test_a_file_that_appears_meanwhile_is_left_alone(tmp_path: Path, make: Make) -> None:
    out = tmp_path / "out"
    for attempt in range(2):  # the second time it is there at the start
        with pytest.raises(NestlingError, match=r"exists already.* kept in .*out\.partial: move"):
            write(out, make, lambda: out.write_text("another's"))
        assert out.read_text() == "another's", attempt
        assert {path.name for path in tmp_path.iterdir()} == {
            "out", "out.partial", "out.partial.json",
        }  # fmt: skip
    out.unlink()
    assert write(out, make).done.tally.rows == 3
    assert out.read_bytes() == b"head\n" + 3 * BLOCK.data
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("make", [None, copy])
def test_a_run_that_ends_after_the_rename_is_known_to_be_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Make
) -> None:
    out = tmp_path / "out"

    def killed(file: PartialFile) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PartialFile, "_clear", killed)
        with pytest.raises(KeyboardInterrupt):
            write(out, make)
    found = write(out, make)
    assert found.finished_before
    assert found.done.tally.rows == 3
    assert out.read_bytes() == b"head\n" + 3 * BLOCK.data
    assert list(tmp_path.iterdir()) == [out]
