"""The blocks of a page, in order, and the commands in them.

What a block is stands in its fence: `sh` holds commands; `json` right after commands is what the
last of them printed; `yaml NAME` and `json NAME` are files that later commands read; `python` is a
program. `text` and `mermaid` are for people only.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("models/zoo/*/README.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
)
RUN = ("sh", "json", "yaml", "python")
SHOWN = ("text", "mermaid")
PROGRAMS = ("accelerate", "cp", "curl", "docker", "kill", "make", "nestling", "pip", "python")
"""What commands begin with; an indented block may not, since nobody would run it."""
FENCE = re.compile(r"```(?P<language>\S*) ?(?P<name>\S*)")


@dataclass(frozen=True)
class PageBlock:
    """language: of the fence; "" for an indented block. name: of the file that it is."""

    line: int
    language: str
    name: str
    text: str

    @property
    def shows_output(self) -> bool:
        """Of the command before it."""
        return self.language == "json" and not self.name


@dataclass(frozen=True)
class Command:
    """One command, its continued lines joined as the shell joins them."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[PageBlock]:
    """All blocks of a page, fenced and indented."""
    lines = page.read_text("utf-8").splitlines()
    found, number = [], 0
    while number < len(lines):
        begin = number
        if fence := FENCE.fullmatch(lines[number]):
            number = lines.index("```", number + 1)
            text = "\n".join(lines[begin + 1 : number]) + "\n"
            found.append(PageBlock(begin + 1, fence["language"], fence["name"], text))
        elif lines[number].startswith("    ") and not lines[number - 1]:
            while number < len(lines) and lines[number].startswith("    "):
                number += 1
            found.append(PageBlock(begin + 1, "", "", "\n".join(lines[begin:number]) + "\n"))
        number += 1
    return found


def commands(page: Path, block: PageBlock) -> Iterator[Command]:
    """Of a block of the shell. A line whose quotes are open, or with a backslash, goes on."""
    pending, begin = "", 0
    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        begin = begin if pending else number
        pending += line + "\n"
        if line.endswith("\\"):
            continue
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quotation that is not closed yet
            continue
        if words:
            yield Command(page_name(page), begin, pending.strip())
        pending = ""
    if pending:
        raise ValueError(f"{page_name(page)}:{begin}: a command that does not end: {pending}")


def all_commands() -> list[Command]:
    """Of all pages, in order."""
    return [
        command
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for command in commands(page, block)
    ]
