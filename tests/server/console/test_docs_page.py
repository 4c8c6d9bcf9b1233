"""The documentation in a real browser, which can reach nobody but the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from ..serving import Server
from .conftest import Keys

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]


@pytest.fixture
def page(browser: Browser, guarded: Server, shipped: Server) -> Iterator[Page]:
    """Without a network: what goes elsewhere is cut off, and fails the test."""
    wrong: list[str] = []

    def cut(route: Route) -> None:
        if route.request.url.startswith((guarded.url, shipped.url, "data:")):
            route.continue_()
        else:
            wrong.append(route.request.url)
            route.abort()

    page = browser.new_page()
    page.route("**/*", cut)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    yield page
    page.close()
    assert [line for line in wrong if "401 (Unauthorized)" not in line] == []


def ask(page: Page) -> str:
    """The status that the page shows for the example of `/v1/classify`, sent from there."""
    route = page.locator(".opblock", has_text="/v1/classify")
    if "is-open" not in (route.get_attribute("class") or ""):
        route.locator(".opblock-summary-control").click()
    with page.expect_response("**/v1/classify") as answered:
        route.locator("button.execute").click()
    status = str(answered.value.status)
    shown = route.locator(".live-responses-table tbody .response-col_status").first
    expect(shown).to_contain_text(status)
    return status


def test_every_route_is_there_and_can_be_tried(page: Page, shipped: Server) -> None:
    page.goto(f"{shipped.url}/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.locator(".opblock").count() > 20
    expect(page.locator("button.authorize")).to_have_count(0)
    assert ask(page) == "200"


def test_it_asks_with_the_key_that_it_is_given(page: Page, guarded: Server, keys: Keys) -> None:
    page.goto(f"{guarded.url}/docs")
    assert ask(page) == "401"
    page.locator("button.authorize").click()
    window = page.locator(".modal-ux")
    expect(window).to_contain_text("ApiKeyBearer")
    expect(window).to_contain_text("X-API-Key")
    first = window.locator(".auth-container", has_text="ApiKeyBearer")
    first.locator("input").fill(keys[0][0])
    first.locator("button.authorize").click()
    window.locator(".close-modal").click()
    assert ask(page) == "200"


def test_the_root_shows_the_console(page: Page, guarded: Server) -> None:
    page.goto(guarded.url)
    assert page.url == f"{guarded.url}/console"
    expect(page.locator("h1")).to_contain_text("Nestling console")
