"""The house as a whole: files of one job, names of one meaning, no circles."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = {each.parent.name for each in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}
FILES = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts): file
    for file in FILES
    if file.name != "__init__.py"
}
"""Those that hold code of their own, by dotted name; a package's `__init__` re-exports."""
LONGEST = 300
"""Lines of a file."""


def test_no_file_is_too_long() -> None:
    lengths = {str(file): len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_no_class_has_the_name_of_another() -> None:
    names = Counter(
        node.name
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, times in names.items() if times > 1] == []


def test_no_module_imports_what_imports_it() -> None:
    """By way of however many others; imports within functions count."""
    imports = {name: imported(name, file) for name, file in MODULES.items()}
    circles = [name for name in imports if name in reached(name, imports)]
    assert circles == []


def reached(name: str, imports: dict[str, set[str]]) -> set[str]:
    """All modules that a module imports, by way of others too."""
    seen, waiting = set[str](), [name]
    while waiting:
        fresh = imports[waiting.pop()] - seen
        seen |= fresh
        waiting.extend(fresh)
    return seen


def imported(name: str, file: Path) -> set[str]:
    """The modules that a module imports by name."""
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = name.split(".")[: -node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            stem = stem.removeprefix("nestling.")
            found |= {stem, *(f"{stem}.{alias.name}" for alias in node.names)} & MODULES.keys()
    return found
