"""The stream: the numbers of `/metrics`, for as many as listen, and an end when the server ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import httpx
import pytest

from ..serving import Server, serve
from .conftest import Keys
from .listening import Events, listening


def named(events: Events, wanted: str) -> Iterator[dict]:
    return (content for name, content in events if name == wanted)


def test_what_is_served_comes_first_and_again_after_a_reload(
    calibrated_dir: Path, guarded: Server, keys: Keys
) -> None:
    (user, _), (admin, _) = keys
    with listening(guarded, Authorization=f"Bearer {user}") as events:
        name, about = next(events)
        assert name == "about"
        assert about["checkpoint"] == calibrated_dir.name
        assert [student["name"] for student in about["students"]] == ["tiny", "small", "ta"]
        assert about["default"] == "all"
        assert about["frontier"] == {"missing": "report.json: missing"}
        assert next(events)[0] == "numbers"
        key = {"Authorization": f"Bearer {admin}"}
        assert guarded.client.post("/admin/reload", headers=key).status_code == 200
        assert next(named(events, "about")) == about


def test_the_stream_wants_a_key_and_the_page_does_not(guarded: Server) -> None:
    assert httpx.get(f"{guarded.url}/console/events").status_code == 401
    assert guarded.client.get("/console").status_code == 200
    assert guarded.client.get("/console/static/app.js").status_code == 200


def test_numbers_are_those_of_the_registry(server: Server, texts: list[str]) -> None:
    with listening(server) as events:
        numbers = named(events, "numbers")
        before = next(numbers)["total"]
        answers = server.classify(texts[:40])
        server.client.post("/v1/classify", json={"inputs": ""})
        after = next(each for each in numbers if each["total"]["texts"] == before["texts"] + 40)
    series = server.metrics()
    total = after["total"]
    assert total["requests"] - before["requests"] == 2
    assert total["failed"] - before["failed"] == 1
    for index, student in enumerate(total["students"]):
        name, old = student["name"], before["students"][index]
        steps = [step for a in answers for step in a["decision"]["path"] if step["student"] == name]
        assert student["asked"] - old["asked"] == len(steps)
        assert student["escalated"] - old["escalated"] == sum(not s["accepted"] for s in steps)
        answered = f"nestling_answer_duration_seconds_count{{student={name}}}"
        assert student["answered"] == series[answered]
        assert (student["p50"] is None) == (student["answered"] == 0)
    assert sum(flow["texts"] for flow in total["flows"]) == sum(
        student["escalated"] for student in total["students"]
    )
    flops = series["nestling_flops_total"] / series["nestling_ta_flops_total"]
    assert total["relative_flops"] == pytest.approx(flops)
    assert after["now"]["texts"] == 40
    assert after["ready"]
    assert after["brownout"] == 0


def test_all_who_listen_get_the_same_reading(server: Server) -> None:
    with listening(server) as one, listening(server) as other:
        times = [
            [message["time"] for message in islice(named(each, "numbers"), 3)]
            for each in (one, other)
        ]
    assert len(set(times[0]) & set(times[1])) >= 2
    assert all(later > earlier for earlier, later in pairwise(times[0]))


def test_a_window_begins_with_the_first_who_listens(server: Server, texts: list[str]) -> None:
    server.classify(texts[:10])
    for _ in range(2):
        with listening(server) as events:
            assert next(events)[0] == "about"
            first = next(named(events, "numbers"))
            assert (first["now"]["seconds"], first["now"]["texts"]) == (0, 0)
            assert first["total"]["texts"] >= 10


def test_an_open_console_does_not_hold_up_the_end(calibrated_dir: Path, tmp_path: Path) -> None:
    with serve(calibrated_dir, tmp_path / "log") as server, listening(server) as events:
        assert next(events)[0] == "about"
        server.terminate()
        assert [name for name, _ in events][-1:] in ([], ["numbers"])  # it ends, as a stream should
        assert server.wait() == 0
        assert server.log == ""
