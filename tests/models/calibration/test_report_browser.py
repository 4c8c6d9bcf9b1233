"""The page about a calibration in a real browser: it fits, and everybody can read it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from nestling.models.calibration.report.page import page

from ...server.console.conftest import ARTEFACTS, FLAGS
from .test_report import FACTS, found

SHOWN = {1280: "wide", 360: "narrow"}
"""Which drawing a window of this width has."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", SHOWN)
def test_it_fits_and_can_be_read(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(page([found()], FACTS))
    wrong: list[str] = []
    window = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    window.on("console", lambda message: wrong.append(message.text))
    window.on("request", lambda request: wrong.append(request.url))
    window.goto(file.as_uri())
    assert wrong == [file.as_uri()]
    for size in SHOWN.values():
        assert window.locator(f"svg.{size}").is_visible() == (size == SHOWN[width])
    ARTEFACTS.parent.mkdir(parents=True, exist_ok=True)
    shot = ARTEFACTS.parent / f"calibration-{scheme}-{width}.png"
    window.screenshot(path=shot, full_page=True)
    window.get_by_text("threshold vectors").click()
    assert window.evaluate("document.documentElement.scrollWidth") == width
    window.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(browser: Browser, tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(page([found()], FACTS).replace("default-src 'none'; ", ""))  # axe is a script
    window = browser.new_page(color_scheme=scheme)
    window.goto(file.as_uri())
    results = Axe().run(window)
    assert results.violations_count == 0, results.generate_report()
    window.close()
