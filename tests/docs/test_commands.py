"""Every command of README and the docs does what the page says: run in order and literally, but for
the table of substitutions, on data that ships."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from ..models.training.conftest import write_pretrained
from .blocks import PAGES, PROGRAMS, ROOT, RUN, SHOWN, PageBlock, all_commands, blocks, page_name
from .reader import Reader, agree
from .substitutions import NOT_RUN, SENDS_TEXTS, SUBSTITUTIONS, not_run

BLOCKS = [(page, block) for page in PAGES for block in blocks(page)]
QUICK = ("CONTRIBUTING.md", "docs/comparison.md", "docs/kernels.md", "docs/monitoring.md")
"""Pages whose commands take a second or two together."""


def does_something(page: Path) -> bool:
    return any(block.language in RUN for block in blocks(page))


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for page in PAGES
        if does_something(page)
        for name in [page_name(page)]
    ],
)
def test_a_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    teacher = write_pretrained(tmp_path / "teacher", classifier=False)
    (tmp_path / "folder").mkdir()
    with Reader(tmp_path / "folder", teacher) as reader:
        reader.follow(page)


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=lambda each: getattr(each, "line", None))
def test_a_block_says_what_it_is(page: Path, block: PageBlock) -> None:
    if block.language:
        assert block.language in RUN + SHOWN
    else:
        words = {line.split()[0] for line in block.text.splitlines() if line.strip()}
        assert not words & set(PROGRAMS), "commands stand in a block fenced as `sh`"
    if block.language == "yaml":
        assert block.name, "a block of YAML is a file that a command reads"
        assert yaml.safe_load(block.text)
    if block.language == "json":
        json.loads(block.text)
    if block.language == "python":
        compile(block.text, page.name, "exec")


def test_what_is_shown_was_printed_by_a_command() -> None:
    for page in PAGES:
        for before, block in pairwise(blocks(page)):
            assert not block.shows_output or before.language == "sh", (page, block.line)


@pytest.mark.parametrize(("page", "block"), [each for each in BLOCKS if each[1].name])
def test_a_file_of_a_page_is_read_by_its_commands(page: Path, block: PageBlock) -> None:
    later = [each for each in blocks(page) if each.language == "sh" and each.line > block.line]
    assert any(block.name in each.text for each in later)


def test_no_entry_of_the_tables_is_stale() -> None:
    commands = all_commands()
    run = [command for command in commands if not not_run(command)]
    for substitution in SUBSTITUTIONS:
        assert any(substitution.applies(command) for command in run), substitution
    for page, beginning in NOT_RUN:
        found = [c for c in commands if c.page == page and c.text.startswith(beginning)]
        assert found, (page, beginning)
    assert any(re.search(SENDS_TEXTS, command.text) for command in run)
    assert set(QUICK) <= {page_name(page) for page in PAGES}


def test_make_serves_it() -> None:
    dry = ["make", "--dry-run", "--directory", str(ROOT), "serve"]
    said = subprocess.run(dry, capture_output=True, text=True, check=True).stdout
    assert ".venv/bin/nestling serve" in said


def test_files_that_pages_name_are_there() -> None:
    """Of the source tree: what a path with a known beginning points to."""
    path = re.compile(r"(?<![\w/.-])((?:examples|docs/benchmarks|models/zoo)/[\w./-]*\w)")
    for page in PAGES:
        for name in path.findall(page.read_text("utf-8")):
            assert (ROOT / name).exists(), f"{page_name(page)}: {name}"


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            file = (page.parent / name) if name else page
            assert file.exists(), f"{page_name(page)}: {target}"
            if anchor:
                assert anchor in anchors(file), f"{page_name(page)}: {target}"


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize(
    "printed", [{"a": 2, "b": "no"}, {"a": 2}, {"a": True, "b": "yes"}, {"a": [2], "b": "yes"}]
)
def test_an_output_that_differs_is_found(printed: dict[str, object]) -> None:
    agree({"a": 1.5, "b": "yes"}, {"a": 2, "b": "yes"}, "here")
    with pytest.raises(AssertionError, match="here: shows"):
        agree({"a": 1.5, "b": "yes"}, printed, "here")
