"""The page about a calibration says what the calibration found, and holds all that it shows."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from nestling.models.calibration.report.chart import HEADROOM, draw
from nestling.models.calibration.report.page import SIZES, Found, page
from nestling.models.cascade.group import GroupEvidence
from nestling.models.cascade.scope import ScopePromise

from .test_recalibrate import TARGET, cascade
from .test_trail import TEXTS, calibrated

FACTS = {"checkpoint": "<my & checkpoint>", "command": "nestling calibrate 'a b'"}
STUDENTS = [stage.student.name for stage in cascade().stages]


def found() -> Found:
    return Found(calibrated().cascade, calibrated().choice, STUDENTS)


class Reader(HTMLParser):
    """tables: rows of cells, of each table. opened: names of elements, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.opened: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell:
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def read() -> Reader:
    return Reader(page([found()], FACTS))


def number(cell: str) -> float:
    return float(cell.removesuffix("%").replace(",", "")) / (100 if cell.endswith("%") else 1)


def test_every_vector_stands_in_the_table(read: Reader) -> None:
    trail = found().choice.trail
    stages, _, (head, *rows), _ = read.tables
    assert [row[0] for row in stages[1:]] == [s.student.name for s in found().cascade.stages]
    assert len(rows) == len(trail.cost)
    columns = {name: [row[place] for row in rows] for place, name in enumerate(head)}
    for name, values in {
        "time of the TA's": trail.cost,
        "losses": trail.losses,
        "observed": trail.risks,
        "at most": trail.bounds,
        "answered by ta": trail.shares[:, -1],
    }.items():
        assert list(map(number, columns[name])) == pytest.approx(values.tolist(), rel=6e-3), name
    verdicts = columns["test"]
    assert verdicts[trail.chosen] == "chosen"
    assert set(verdicts[: trail.accepted]) <= {"chosen", "passed"}
    assert verdicts[trail.accepted] == "not passed"
    assert set(verdicts[trail.accepted + 1 :]) <= {"not reached"}


def test_the_promise_and_what_a_smaller_one_takes_are_said(read: Reader) -> None:
    said = " ".join(read.text.split())
    assert "With 90 % confidence, at most 3 % of texts like these are lost." in said
    assert "if its answer differs from the TA's answer." in said
    assert f"losses of {found().choice.allowed} allowed{found().choice.losses} " in said
    _, (_, *rows), *_ = read.tables
    for row, outlook in zip(rows, found().outlooks, strict=True):
        assert number(row[0]) == pytest.approx(outlook.alpha)
        if outlook.texts is None:
            assert row[4:] == ["no number", ""]
        else:
            missing = outlook.texts - TEXTS
            assert row[4:] == [f"{outlook.texts:,}", f"{missing:,}" if missing > 0 else "none"]
    assert read.tables[-1] == [list(fact) for fact in FACTS.items()]


def test_the_page_asks_for_nothing_else(read: Reader) -> None:
    tags = {tag for tag, _ in read.opened}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed"}
    names = {name for _, attributes in read.opened for name in attributes}
    assert not names & {"src", "href", "onload", "onclick", "style"}
    assert "url(" not in page([found()], FACTS)


def test_scopes_and_groups_of_a_net_promise_are_shown() -> None:
    """How many texts half a net risk takes is not worked out, so the page does not say a number."""
    given = found().cascade
    groups = (GroupEvidence.of("de", 700, 200, 9, 4), GroupEvidence.of("en", 600, 200, 2, 0))
    guarantee = replace(found().guarantee, loss="net", by="lang", groups=groups)
    kept = ScopePromise(0.9, 0.95, 100, tuple(0.91 for _ in given.stages))
    shown = replace(given, guarantee=guarantee, scope=kept)
    shown = replace(shown, stages=tuple(replace(stage, scope=0.875) for stage in shown.stages))
    read = Reader(page([replace(found(), cascade=shown)], FACTS))
    stages, (head, *rows), *_ = read.tables
    assert {row[stages[0].index("in scope from")] for row in stages[1:]} == {"0.8750"}
    columns = {name: [row[place] for row in rows] for place, name in enumerate(head)}
    assert columns["lang"] == ["de", "en"]
    assert (columns["losses"], columns["recoveries"]) == (["9", "2"], ["4", "0"])
    assert "still missing" not in head
    assert "no number" not in read.text
    assert "each scope keeps at least 90 % of the texts" in read.text


def test_several_cascades_share_a_page() -> None:
    other = replace(found(), cascade=replace(found().cascade, name="other"))
    text = page([found(), other], FACTS)
    assert re.findall(r"<h2>(.*)</h2>", text) == ["all", "other"]
    assert text.count("<svg") == 2 * len(SIZES)


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_the_drawing_is_in_proportion(size: tuple[float, float]) -> None:
    trail, alpha = found().choice.trail, TARGET.alpha
    chart = draw(trail, alpha, *size)
    shown = [*chart.passed, *chart.others[1:]]
    assert [dot.vector for dot in shown] == list(range(len(shown)))
    assert (chart.passed[-1].vector, chart.others[0]) == (trail.accepted - 1, chart.passed[-1])
    assert len(shown) == len(trail.risks) or trail.risks[len(shown)] > HEADROOM * alpha
    for dot in shown:
        assert chart.left <= dot.x <= chart.right
        assert chart.top <= dot.bound <= dot.y <= chart.bottom
        assert (dot.bound >= chart.alpha) == (trail.bounds[dot.vector] <= alpha)
        risk = HEADROOM * alpha * (chart.bottom - dot.y) / (chart.bottom - chart.top)
        assert risk == pytest.approx(trail.risks[dot.vector], abs=1e-4)
    assert chart.chosen == shown[trail.chosen]
    for places in (chart.costs, chart.risks):
        assert all(a[1] > b[1] for a, b in pairwise(places))
