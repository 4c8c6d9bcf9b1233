"""How large the product is: files, and lines by what they hold.

Usage: python -m benchmarks.house [FOLDER]

FOLDER: a checkout; this one by default. Tests, benchmarks and migrations do not count. `code` is
what is neither blank, nor a docstring, nor an import. Prints one JSON line, which is
docs/benchmarks/house.json.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUTSIDE = {"benchmarks", "tests"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT)
    folder: Path = parser.parse_args().folder
    rooms = {}
    for package in sorted(folder.glob("*/__init__.py")):
        if package.parent.name not in OUTSIDE:
            rooms[package.parent.name] = counted(package.parent)
    whole = sum((Counter(room) for room in rooms.values()), Counter[str]())
    date = datetime.now(UTC).isoformat(timespec="seconds")
    print(json.dumps({"benchmark": "house", "date": date, "command": "python -m benchmarks.house",
                      "whole": dict(whole), "rooms": rooms}))  # fmt: skip


def counted(room: Path) -> dict[str, int]:
    """Files and lines of a room."""
    count = Counter[str]()
    for file in room.rglob("*.py"):
        if "migrations" in file.parts:
            continue
        text = file.read_text("utf-8")
        lines = text.splitlines()
        kinds = Counter(kind for kind, _ in held(text))
        blank = sum(not line.strip() for line in lines)
        code = len(lines) - blank - kinds.total()
        count.update(kinds, files=1, lines=len(lines), blank=blank, code=code)
    return dict(count)


def held(text: str) -> Iterator[tuple[str, int]]:
    """The lines of docstrings and imports that are not blank: what each is, and its number."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            kind = "imports"
        elif (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            kind = "docstrings"
        else:
            continue
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            if lines[number - 1].strip():
                yield kind, number


if __name__ == "__main__":
    main()
