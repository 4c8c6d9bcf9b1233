"""A page that cannot be written is known before the work begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Nestling, complaint, everything_in


@pytest.mark.parametrize("source", ["--data", "--from-shadow"])
def test_a_page_that_cannot_be_written_is_refused_first(
    nestling: Nestling, checkpoint_dir: Path, data: Path, tmp_path: Path, source: str
) -> None:
    before = everything_in(checkpoint_dir)
    for page, why in ((tmp_path, "is a folder"), (tmp_path / "no" / "page.html", "no folder")):
        said = complaint(nestling("calibrate", checkpoint_dir, source, data, "--report", page))
        assert said.startswith("nestling: --report: ")
        assert why in said
    assert everything_in(checkpoint_dir) == before
