"""The numbers of README and the docs are those of the JSON that was measured."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nestling.models.checkpoint.integrity import read_hashed_json, sha256_of

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "docs" / "benchmarks"
ZOO = ROOT / "models" / "zoo" / "clinc150"
EXAMPLES = ROOT / "examples" / "clinc150"


@pytest.fixture
def tables() -> ModuleType:
    return importlib.import_module("benchmarks.tables")


def test_the_pages_say_what_was_measured(tables: ModuleType) -> None:
    assert tables.faults() == []


def test_every_table_stands_in_a_page(tables: ModuleType) -> None:
    text = "".join(page.read_text("utf-8") for page in tables.pages())
    for name in tables.TABLES:
        begin, end = tables.marks(name)
        assert text.count(begin) == text.count(end) >= 1, name


@pytest.mark.parametrize(("was", "is_"), [("96.18 %", "96.81 %"), ("lost 0.29", "lost 0.92")])
def test_a_wrong_number_is_found(
    tables: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, was: str, is_: str
) -> None:
    """In a copy of the pages of which one has another number."""
    for page in tables.pages():
        copy = tmp_path / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(page.read_text("utf-8"), "utf-8")
    readme = tmp_path / "README.md"
    text = readme.read_text("utf-8")
    assert was in text
    readme.write_text(text.replace(was, is_, 1), "utf-8")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "pages", lambda: [readme])
    [complaint] = tables.faults()
    assert complaint.startswith("README.md: ")


def test_the_tables_of_the_plan(tables: ModuleType) -> None:
    scale = importlib.import_module("benchmarks.capacity.scale")
    text = (ROOT / "docs" / "scale.md").read_text("utf-8")
    plans = read("scale")["plans"]
    for name, lines in (
        ("validation", scale.validation_table(read("plan"))),
        ("capacity", scale.capacity_table(plans)),
        ("replicas", scale.replicas_table(plans)),
    ):
        assert text == tables.replaced(text, name, lines), name


def test_the_report_that_ships_is_of_the_weights_and_the_texts_that_ship() -> None:
    report = read_hashed_json(ZOO / "report.json")
    calibration = read_hashed_json(ZOO / "calibration.json")
    assert report["weights_sha256"] == calibration["weights_sha256"]
    assert report["data"]["sha256"] == sha256_of(EXAMPLES / "test.jsonl")
    for cascade in calibration["cascades"].values():
        assert cascade["guarantee"]["data_sha256"] == sha256_of(EXAMPLES / "validation.jsonl")


@pytest.mark.parametrize(("name", "each"), [("train", 20), ("validation", 20), ("test", 30)])
def test_the_texts_that_ship(name: str, each: int) -> None:
    labels = json.loads((ZOO / "config.json").read_text("utf-8"))["architecture"]["labels"]
    rows = [json.loads(line) for line in (EXAMPLES / f"{name}.jsonl").open(encoding="utf-8")]
    assert sorted(row["label"] for row in rows) == sorted(labels * each)
    card = (EXAMPLES / "README.md").read_text("utf-8")
    assert f"| `{name}.jsonl` | {len(rows):,} | {each} |" in card
    assert "creativecommons.org/licenses/by/3.0" in card


def test_the_answer_in_readme_is_as_cheap_as_it_says() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    [cost] = re.findall(r'"relative_cost": ([0-9.]+)', text)
    assert f"for {100 * float(cost):.1f} % of what the" in " ".join(text.split())


def read(name: str) -> Any:
    return json.loads((BENCHMARKS / f"{name}.json").read_text("utf-8"))
