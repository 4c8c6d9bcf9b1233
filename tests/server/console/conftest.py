"""Debian's Chromium, a page in it, and servers to look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from nestling.server.http.keys import new_key

from ..serving import Server, serve

# Taken out: a server would warn of it, as of every variable that is no setting.
ARTEFACTS = Path(os.environ.pop("NESTLING_TEST_ARTEFACTS", "tests-artefacts")) / "console"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DECLARATION = """
experiments:
  - name: smaller-cascade
    unit: {header: X-User-Id}
    start: 2026-01-01T00:00:00Z
    variants:
      - {name: control, weight: 1, policy: auto}
      - {name: bold, weight: 1, policy: drop-0.01}
    primary: {metric: relative_cost, smallest_effect: 0.02}
    planned_units: 1000
"""
expect.set_options(timeout=30_000)
Keys = tuple[tuple[str, str], tuple[str, str]]
"""A user's key and an administrator's, each with the line that lets it in."""
Look = Callable[..., Page]
"""Opens the console of a server, in a window of its own."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Every page that it opens must end without an error and without a request to elsewhere."""
    wrong: list[str] = []
    with ExitStack() as opened:

        def look(server: Server, width: int = 1280, scheme: str = "light") -> Page:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            opened.callback(page.close)
            page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on(
                "request",
                lambda request: (
                    None
                    if request.url.startswith((server.url, "data:"))
                    else wrong.append(request.url)
                ),
            )
            page.goto(f"{server.url}/console")
            return page

        yield look
    assert wrong == []


@pytest.fixture(scope="package")
def shot() -> Callable[[Page, str], None]:
    """Keeps a picture of a page."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)

    def shot(page: Page, name: str) -> None:
        page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)

    return shot


@pytest.fixture(scope="package")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The checkpoint that ships, with an experiment."""
    folder = tmp_path_factory.mktemp("shipped")
    declaration = folder / "experiments.yaml"
    declaration.write_text(DECLARATION)
    flags = (
        *("--experiments", str(declaration), "--store", f"sqlite:///{folder / 'record.db'}"),
        *("--price-per-hour", "3.5", "--shadow", "0.05", "--threads", "1"),
    )
    checkpoint = Path(str(files("nestling.models") / "zoo" / "clinc150"))
    with serve(checkpoint, folder / "log", *flags) as server:
        yield server


@pytest.fixture(scope="package")
def keys() -> Keys:
    """Made anew for each run."""
    return new_key(), new_key()


@pytest.fixture(scope="package")
def guarded(
    calibrated_dir: Path,
    keys: Keys,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server that wants keys."""
    folder = tmp_path_factory.mktemp("guarded")
    files = {"--api-keys": keys[0], "--admin-keys": keys[1]}
    flags = []
    for flag, (_, line) in files.items():
        path = folder / flag
        path.write_text(f"somebody {line}")
        flags += [flag, str(path)]
    with serve(calibrated_dir, folder / "log", *flags) as server:
        yield server
