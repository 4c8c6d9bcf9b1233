"""The list of benchmarks is whole, and names only what is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
STARTS = 'if __name__ == "__main__":'


def test_every_program_is_listed() -> None:
    """A program starts `main` when it is run as one."""
    programs = set()
    for file in FOLDER.rglob("*.py"):
        if STARTS in file.read_text("utf-8") and file.parent.name != "servers":
            parts = file.relative_to(ROOT).with_suffix("").parts
            programs.add(".".join(part for part in parts if part != "__main__"))
    text = (FOLDER / "README.md").read_text("utf-8")
    assert set(re.findall(r"\bbenchmarks(?:\.\w+)+", text)) == programs


def test_every_measurement_that_the_list_names_is_there() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    named = re.findall(r"\]\(\.\./(docs/[\w/.]+)\)", text)
    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).exists()] == []
