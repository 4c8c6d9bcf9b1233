"""The page, in a real browser."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path

import pytest

from nestling.cli.loadtest.finish import finish
from nestling.loadtest.knee import Search
from nestling.loadtest.report.page import page
from nestling.loadtest.running import Traffic, find_knee, run
from nestling.loadtest.setup import Setup

from .conftest import a_setup, write_data
from .stub import Stub

Make = Callable[..., Setup]


def chromium(*flags: str) -> subprocess.CompletedProcess[str]:
    own = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr")  # fmt: skip
    return subprocess.run(["chromium", *own, *flags], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    with Stub(wrong=5, capacity=4, service=0.02, queue=20) as stub:
        given = a_setup(stub.url, write_data(folder), reference="ta", faults={"malformed": 0.1})
        report = run(given, Traffic("50..400", 2), ["auto", "ta"], 1)
    path = folder / "report.html"
    path.write_text(page(report), "utf-8")
    return path


@pytest.mark.needs("chromium")
def test_the_page_is_whole_by_itself(report_page: Path, tmp_path: Path) -> None:
    text = report_page.read_text("utf-8")
    assert "default-src 'none'" in text  # the browser itself would refuse what is elsewhere
    assert "<script" not in text
    assert not re.findall(r"""(?:src|href)=["'](?!#)|url\((?!#)|@import""", text)
    assert len(text) < 1_000_000
    shown = chromium(f"--user-data-dir={tmp_path / 'user'}", "--dump-dom", report_page.as_uri())
    assert shown.stdout.count("<svg") == 5  # two models, each with a timeline of its own
    for title in ("Latency against rate", "Latency: the tail", "Second by second: auto",
                  "Cost against accuracy", "Who answered", "How it was measured"):  # fmt: skip
        assert title in shown.stdout
    assert "Content Security Policy" not in shown.stderr
    ids = re.findall(r' id="([^"]+)"', shown.stdout)
    assert len(ids) == len(set(ids))


@pytest.mark.needs("chromium")
def test_the_page_can_be_seen(report_page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    chromium(f"--user-data-dir={tmp_path / 'user'}", f"--screenshot={picture}",
             "--window-size=1280,2600", report_page.as_uri())  # fmt: skip
    assert picture.stat().st_size > 100_000  # an empty page of that size has 10 kB


def test_the_page_of_a_run_without_an_answer(setup: Make) -> None:
    with Stub(status=500) as stub:
        report = run(setup(stub.url), Traffic("50", 1), ["auto"], 1)
    text = page(report)
    assert "500: " in text
    assert "Second by second" in text
    assert "Latency: the tail" not in text


def test_a_report_is_replaced_whole_or_not_at_all(
    setup: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stub() as stub:
        report = run(setup(stub.url), Traffic("50", 1), ["auto"], 1)
    out = tmp_path / "out"
    finish(report, out, as_json=True)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert before.keys() == {"report.json", "report.html"}

    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        finish(report | {"date": "another"}, out, as_json=True)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_what_a_user_gave_is_no_markup(setup: Make) -> None:
    model = "<script>alert(1)</script>"
    with Stub() as stub:
        text = page(run(setup(stub.url), Traffic("50", 1), [model], 1))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_page_of_a_knee(setup: Make) -> None:
    with Stub(service=0.02, capacity=4) as stub:
        search = Search(200, seconds=0.5, tolerance=1.5, tries=1, samples=100)
        report = find_knee(setup(stub.url), search, 0, "auto")
    text = page(report)
    assert "The highest rate at which 99 %" in text
    assert "knee, requests /s" in text
