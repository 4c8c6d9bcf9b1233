"""The console in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from nestling.models import Predictor

from ..promises import BROKEN, promising
from ..serving import Server, serve
from ..several_labels import write_several
from .conftest import Keys, Look

Shot = Callable[[Page, str], None]
EASY = "how do i say goodbye in french"
HARD = "why is the sky blue and does that have any bearing on my credit"
QUESTIONS = (EASY, EASY, HARD, "what is my balance", "set an alarm for six", "tell me a joke")


@contextmanager
def load(server: Server) -> Iterator[None]:
    """Users who ask, one after the other, until it ends."""
    over = Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for number in range(10**6):
                if over.wait(0.005):
                    return
                text = QUESTIONS[number % len(QUESTIONS)]
                user = {"X-User-Id": f"user {number}"}
                client.post("/v1/classify", json={"inputs": text}, headers=user)

    asking = Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def tile(page: Page, name: str) -> str:
    return page.locator("#tiles > div", has_text=name).locator("dd").first.inner_text()


def live(page: Page) -> None:
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator(".rung").first).to_be_visible()


def test_idle_it_shows_what_is_served(shipped: Server, look: Look, shot: Shot) -> None:
    page = look(shipped)
    live(page)
    expect(page.locator("#checkpoint")).to_contain_text("clinc150, weights 60b7c288200d")
    assert page.locator(".rung h3").all_inner_texts() == ["tiny", "small", "medium", "ta"]
    expect(page.locator("#frontier .main-svg").first).to_be_visible()
    expect(page.locator("#frontier")).to_have_attribute("role", "img")
    page.get_by_text("As a table").click()
    expect(page.locator("#frontier-table tbody tr")).to_have_count(6)
    expect(page.locator("#tiles")).to_contain_text("accuracy given up ≤ 0.5 % at 95 %")
    shot(page, "idle-1280")


GROUNDS = {"light": "rgb(245, 246, 244)", "dark": "rgb(16, 21, 26)"}


def test_numbers_move_and_the_experiment_narrows(shipped: Server, look: Look, shot: Shot) -> None:
    page = look(shipped)
    live(page)
    with load(shipped):
        page.wait_for_function(
            "() => parseFloat(document.querySelector('#tiles dd').textContent) > 0"
        )
        expect(page.locator("#ladder-span")).to_contain_text("last")
        expect(page.locator(".flow .pass").first).to_be_attached()
        before = page.locator(".rung").first.inner_text()
        page.wait_for_function(
            "(before) => document.querySelector('.rung').innerText !== before", arg=before
        )
        expect(page.locator("#traffic .main-svg").first).to_be_visible()
        experiment = page.locator(".experiment")
        expect(experiment.locator("h3")).to_have_text("smaller-cascade")
        expect(experiment.locator(".pill")).to_have_text("running")
        until_enough(shipped)
        experiment.locator("summary").click()
        experiment.locator("summary").click()  # reads the report anew
        expect(experiment.locator("tbody tr")).to_have_count(2)
        expect(experiment).to_contain_text("Missing alike: error_rate p = 1")
        expect(experiment.locator(".main-svg").first).to_be_visible()
        page.get_by_label("Text", exact=True).fill(HARD)
        page.get_by_role("button", name="Classify").click()
        expect(page.locator(".path li")).not_to_have_count(0)
        for scheme, ground in GROUNDS.items():
            page.emulate_media(color_scheme=scheme)
            for width in (1280, 360):
                page.set_viewport_size({"width": width, "height": 900})
                colour = "getComputedStyle(document.body).backgroundColor"
                assert page.evaluate(colour) == ground
                page.wait_for_timeout(1500)  # a message in this scheme and width
                assert page.evaluate("document.documentElement.scrollWidth") == width
                shot(page, f"load-{scheme}-{width}")


def test_a_broken_promise_is_shown_whichever_cascade_made_it(
    calibrated_dir: Path, tmp_path: Path, texts: list[str], look: Look, shot: Shot
) -> None:
    directory = promising(calibrated_dir, tmp_path)
    flags = ("--shadow", "1", "--target-delay-ms", "0", "--on-violation", "ta")
    with serve(directory, tmp_path / "log", *flags) as server:
        page = look(server)
        live(page)
        server.classify(texts[:60])  # by the one that is kept, which `auto` stands for
        guarantee = page.locator("#tiles > div", has_text="Guarantee")
        expect(guarantee).to_contain_text("holds so far")
        server.classify(texts[:60], model=BROKEN)
        expect(guarantee).to_contain_text("broken disagrees more than the 10 % promised; found ")
        year = str(datetime.now(UTC).year)
        expect(guarantee).to_contain_text(re.compile(rf"found \w+ \d+, {year}, \d\d:\d\d:\d\d"))
        step = rf"; tightened by 1 step, last \w+ \d+, {year}, \d\d:\d\d:\d\d"
        expect(guarantee).to_contain_text(re.compile(step))
        expect(page.locator("#alerts")).to_contain_text("Guarantee: broken")
        shot(page, "broken-1280")
        page.close()  # before its server


def until_enough(server: Server) -> None:
    """Each variant has the units from which on there is an interval."""
    while True:
        found = server.client.get("/v1/experiments/smaller-cascade").json()
        if all(variant["interval"] for variant in found["variants"]):
            return


def test_the_playground_shows_the_way_of_a_text(server: Server, look: Look) -> None:
    page = look(server)
    live(page)
    page.get_by_label("Text", exact=True).fill("book a table")
    page.get_by_label("Model").select_option("short")
    page.get_by_label("Minimum confidence").fill("1")
    page.get_by_role("button", name="Classify").click()
    told = server.classify("book a table", model="short", min_confidence=1)
    steps = page.locator(".path li")
    expect(steps).to_have_count(len(told["decision"]["path"]))
    for step, shown in zip(told["decision"]["path"], steps.all(), strict=True):
        text = shown.inner_text()
        assert step["student"] in text
        assert step["label"] in text
        assert f"{step['confidence']:.4f}" in text
        assert ("stands" in text) == step["accepted"]
    expect(page.locator("#answer .label")).to_have_text(told["label"])
    expect(page.locator("#answer")).to_contain_text("nobody was as sure as was wanted")


def test_the_playground_shows_several_labels(
    tmp_path: Path, texts: list[str], look: Look, shot: Shot
) -> None:
    several = write_several(tmp_path, texts)
    predictor = Predictor(several)
    labels = [predictor.label(decision) or [] for decision in predictor.predict(texts)]
    by_size = dict(zip(map(len, labels), texts, strict=True))
    with serve(several.path, tmp_path / "log") as server:
        page = look(server)
        live(page)
        for size, said in ((0, "none of the labels"), (2, None)):
            told = server.classify(by_size[size])
            page.get_by_label("Text", exact=True).fill(by_size[size])
            page.get_by_role("button", name="Classify").click()
            shown = said or ", ".join(told["labels"])
            expect(page.locator("#answer .label")).to_have_text(shown)
            expect(page.locator(".path li").last).to_contain_text(shown)
        shot(page, "several-labels")
        strict = Predictor(several, "strict").predict(texts).told.abstained
        page.get_by_label("Text", exact=True).fill(texts[strict.index(True)])
        page.get_by_label("Model").select_option("strict")
        page.get_by_role("button", name="Classify").click()
        expect(page.locator("#answer .label")).to_have_text("no label: out of scope")
        page.close()  # before its server ends, or it would ask in vain


def test_without_a_report_it_says_how_to_make_one(server: Server, look: Look) -> None:
    page = look(server)
    live(page)
    command = "nestling evaluate CHECKPOINT --data test.jsonl --keep"
    expect(page.locator("#frontier-table")).to_contain_text(command)
    expect(page.locator("#experiments")).to_contain_text("--experiments FILE")


def test_without_the_library_it_says_what_to_install(shipped: Server, look: Look) -> None:
    with httpx.stream("GET", f"{shipped.url}/console/events") as response:
        about = next(line for line in response.iter_lines() if line.startswith("data: "))
    known = json.loads(about.removeprefix("data: ")) | {"charts": None}
    with httpx.stream("GET", f"{shipped.url}/console/events") as response:
        numbers = [line for line, _ in zip(response.iter_lines(), range(5), strict=False)][4]
    page = look(shipped)
    page.route(
        "**/console/events",
        lambda route: route.fulfill(
            content_type="text/event-stream",
            body=f"event: about\ndata: {json.dumps(known)}\n\nevent: numbers\n{numbers}\n\n",
        ),
    )
    page.reload()
    expect(page.locator("#traffic")).to_contain_text("pip install '.[console]'")
    expect(page.locator("#frontier-table tbody tr").first).to_be_visible()


def test_keys_are_asked_for_and_admin_keys_apart(
    guarded: Server, keys: Keys, browser: Browser
) -> None:
    (user, _), (admin, _) = keys
    page = browser.new_page()
    page.goto(f"{guarded.url}/console")
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Key", exact=True).fill(user)
    dialog.get_by_label("Key", exact=True).press("Enter")
    live(page)
    page.get_by_role("button", name="Classify").click()
    expect(page.locator(".path li").first).to_be_visible()
    page.reload()  # the key is kept
    live(page)
    page.get_by_role("button", name="Reload checkpoint").click()
    dialog = page.get_by_role("dialog", name="Reload checkpoint")
    dialog.get_by_label("Admin key").fill(user)
    dialog.get_by_role("button", name="Reload now").click()
    expect(page.locator("#reload-outcome")).to_contain_text("wants an admin's key")
    dialog.get_by_label("Admin key").fill(admin)
    dialog.get_by_role("button", name="Reload now").click()
    expect(page.locator("#reload-outcome")).to_contain_text("answer now")
    assert admin not in page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert page.locator("#admin-key").input_value() == ""
    page.close()


def test_it_works_by_keyboard(server: Server, look: Look) -> None:
    page = look(server)
    live(page)
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
    assert order[0] == "Skip to content"
    assert order[1:3] == ["open-key", "open-reload"]
    assert order[3:7] == ["text", "model", "confidence", "Classify"]
    page.locator("#confidence").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".path li").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_stands_in_the_way_of_a_screen_reader(
    shipped: Server, look: Look, width: int, scheme: str
) -> None:
    page = look(shipped, width, scheme)
    live(page)
    page.get_by_role("button", name="Classify").click()
    expect(page.locator(".path li").first).to_be_visible()
    expect(page.locator("#frontier .main-svg").first).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []
    page.get_by_role("button", name="Reload checkpoint").click()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []


def test_it_comes_back_after_the_stream_was_cut(server: Server, look: Look) -> None:
    page = look(server)
    live(page)
    page.route("**/console/events", lambda route: route.fulfill(content_type="text/event-stream"))
    page.reload()
    expect(page.locator("#connection")).to_have_text(re.compile("trying again"))
    page.unroute("**/console/events")
    live(page)
