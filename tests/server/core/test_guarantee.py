"""A promise that is broken, on a real server: seen by what it covers alone, and not forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from nestling.models import load_checkpoint
from nestling.server.core.tightening import Tightening
from nestling.server.http.keys import new_key
from nestling.server.telemetry.guarantee import Unwatched

from ..promises import BROKEN, KEPT, promise, promising
from ..serving import Server, serve

KEY, DIGEST = new_key()
REASONS = {"max_cost": 0.4, "deadline_ms": 60_000, "min_confidence": 0.9999}


@pytest.fixture(scope="module")
def directory(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return promising(calibrated_dir, tmp_path_factory.mktemp("guarantee"))


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Server]:
    keys = directory.with_name("keys")
    keys.write_text(f"admin {DIGEST}\n")
    flags = ("--shadow", "1", "--target-delay-ms", "0", "--admin-keys", str(keys))
    with serve(directory, directory.with_name("log"), *flags) as running:
        running.client.headers["X-API-Key"] = KEY
        yield running


@pytest.fixture(scope="module")
def distinct(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def watched(server: Server, cascade: str) -> Any:
    reply = server.client.get("/admin/guarantees")
    assert reply.status_code == 200, reply.text
    [found] = [each for each in reply.json()["guarantees"] if each["cascade"] == cascade]
    return found


def broken(server: Server, cascade: str) -> tuple[float, float]:
    """The alarm, and when it was raised, as the metrics have them."""
    series, labels = server.metrics(), f"{{cascade={cascade}}}"
    return (
        series[f"nestling_guarantee_broken{labels}"],
        series[f"nestling_guarantee_broken_timestamp_seconds{labels}"],
    )


def unwatched(server: Server) -> dict[str, float]:
    series = server.metrics()
    return {
        reason: count
        for reason in Unwatched
        if (count := series[f"nestling_shadow_unwatched_total{{reason={reason}}}"])
    }


def workers(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def ask(server: Server, texts: list[str], model: str, **fields: object) -> list[Any]:
    """Few at a time, so that none is left out because too many wait."""
    answers = []
    for start in range(0, len(texts), 50):
        answers += server.classify(texts[start : start + 50], model=model, **fields)
        until(lambda: settled(server))
    return answers


def settled(server: Server) -> bool:
    """Whether nothing waits, twice: a shadow's text is queued after its answer has gone."""
    for _ in range(2):
        series = server.metrics()
        if series["nestling_queue_requests"] or series["nestling_requests_running"]:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(("field", "value"), REASONS.items())
def test_what_a_client_may_have_shortened_is_not_watched(
    server: Server, distinct: list[str], field: str, value: float
) -> None:
    reason = field.removesuffix("_ms")
    before = unwatched(server).get(reason, 0)
    answers = ask(server, distinct, KEPT, **{field: value})
    assert len(answers) == len(distinct)
    cut = [answer["decision"]["limited_by"] for answer in answers]
    assert (set(cut) == {"max_cost"}) is (field == "max_cost")
    assert unwatched(server)[reason] - before == len(distinct)
    assert watched(server, KEPT)["texts"] == 0
    assert broken(server, KEPT) == (0, 0)


def test_a_limit_that_cannot_shorten_anything_hides_nothing(
    server: Server, distinct: list[str]
) -> None:
    """And the promise that is kept stays so."""
    before = unwatched(server)
    ask(server, distinct[:50], KEPT, max_cost=100, min_confidence=0.5)
    ask(server, distinct[50:], KEPT)
    ask(server, distinct[:5], "tiny")
    until(lambda: watched(server, KEPT)["texts"] == len(distinct))
    assert watched(server, KEPT)["disagreements"] == 0
    assert unwatched(server) == before | {"student": 5}
    assert broken(server, KEPT) == (0, 0)


def test_the_alarm_stays_until_somebody_resets_it(
    server: Server, directory: Path, distinct: list[str]
) -> None:
    started = datetime.now(UTC)
    ask(server, distinct, BROKEN)
    until(lambda: watched(server, BROKEN)["texts"] == len(distinct))
    found = watched(server, BROKEN)
    alarm = found["alarm"]
    assert started <= datetime.fromisoformat(alarm["raised"]) <= datetime.now(UTC)
    assert 0 < alarm["disagreements"] <= alarm["texts"] < len(distinct)
    assert alarm["student"] == "tiny"
    assert found["evidence"] >= 1e6
    assert found["lower"] > found["alpha"] == 0.1
    assert broken(server, BROKEN)[0] == 1
    assert broken(server, BROKEN)[1] == pytest.approx(
        datetime.fromisoformat(alarm["raised"]).timestamp(), abs=0.01
    )
    texts, disagreements = alarm["recent_texts"], alarm["recent_disagreements"]
    assert 0.1 < disagreements / texts <= 1
    said = f"has on {disagreements} of the last {texts} that were watched"
    assert server.log.count(said) == 1
    assert "promises to differ from the TA on at most 0.1 of the texts" in server.log

    # The same texts again count once, and change nothing.
    ask(server, distinct[:40], BROKEN)
    again = watched(server, BROKEN)
    assert again["texts"] == len(distinct)
    assert again["repeated"] == pytest.approx(40 / (len(distinct) + 40))

    # Neither a reload of the same cascade nor another worker forgets it.
    assert server.client.post("/admin/reload").status_code == 200
    assert watched(server, BROKEN) == again
    until(lambda: len(workers(server)) == 1)  # the one before has ended
    workers(server)[0].kill()
    until(lambda: server.metrics()["nestling_runner_restarts_total"] == 1)
    until(lambda: server.client.get("/health").status_code == 200)
    assert watched(server, BROKEN) == again
    assert broken(server, BROKEN)[0] == 1

    # Somebody does.
    kept = watched(server, KEPT)
    reply = server.client.post("/admin/guarantees/reset", json={"cascade": BROKEN})
    assert reply.json() == {"before": [again]}
    anew = watched(server, BROKEN)
    assert (anew["alarm"], anew["texts"], anew["lower"], anew["upper"]) == (None, 0, 0, 1)
    assert broken(server, BROKEN) == (0, 0)
    assert watched(server, KEPT) == kept
    assert f"the watch over {BROKEN} begins anew, after {again['texts']} texts" in server.log


def test_another_calibration_begins_anew_and_the_same_does_not(
    server: Server, directory: Path, distinct: list[str]
) -> None:
    ask(server, [f"music {text}" for text in distinct[:100]], BROKEN)
    until(lambda: broken(server, BROKEN)[0] == 1)
    kept = watched(server, KEPT)
    promise(directory, sure=2e-6)
    assert server.client.post("/admin/reload").status_code == 200
    assert broken(server, BROKEN) == (0, 0)
    assert watched(server, BROKEN)["texts"] == 0
    assert watched(server, KEPT) == kept


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"cascade": "tiny"}, 404, "'tiny' is no cascade that is served; there are kept, broken"),
        ({"cascade": [KEPT]}, 422, "cascade: expected a string, got a list"),
        ({"cascade": KEPT, "all": True}, 422, "all: "),
    ],
)
def test_what_cannot_be_reset(server: Server, body: Any, status: int, message: str) -> None:
    reply = server.client.post("/admin/guarantees/reset", json=body)
    assert reply.status_code == status
    assert message in reply.json()["error"]["message"]


def test_all_can_be_reset_at_once(server: Server, distinct: list[str]) -> None:
    ask(server, distinct[:9], BROKEN)
    until(lambda: watched(server, BROKEN)["texts"] > 0)
    before = [watched(server, name) for name in (KEPT, BROKEN)]
    assert server.client.post("/admin/guarantees/reset").json() == {"before": before}
    assert [watched(server, name)["texts"] for name in (KEPT, BROKEN)] == [0, 0]


def test_only_administrators_see_and_reset(server: Server) -> None:
    for method, path in (("GET", "/admin/guarantees"), ("POST", "/admin/guarantees/reset")):
        reply = server.client.request(method, path, headers={"X-API-Key": "x"})
        assert reply.status_code == 401


def test_a_promise_of_another_risk_is_another_promise(directory: Path) -> None:
    checkpoint = load_checkpoint(directory)
    cascade = checkpoint.cascades[KEPT]
    assert cascade.guarantee
    version = cascade.version(checkpoint.weights_sha256)
    watched = Tightening(cascade, checkpoint, "alarm")
    assert watched.same(cascade, version)
    assert not watched.same(cascade, "w")
    stricter = replace(cascade, guarantee=replace(cascade.guarantee, alpha=0.05))
    assert not watched.same(stricter, version)
