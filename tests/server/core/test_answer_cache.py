"""Texts that come again: the same answers for nothing, and only where they are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import select

from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.schema import exposures
from nestling.models import Checkpoint
from nestling.models.cascade.decisions import Decision, Limit
from nestling.server.core.answer_cache import LONGEST
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer
from nestling.server.core.service import Service
from nestling.server.errors import RequestError
from nestling.server.http.keys import new_key

from ...experiments.declared import experiment
from ..engine.test_engine import GatedRunner, one, run
from ..engine.test_engine import until as until_async
from ..experiments.recording import ask, declaration, start, until
from ..serving import Server, serve
from .test_constraints import longest_path

ENTRIES = 60
KEY, DIGEST = new_key()
COSTS = ("flops", "relative_cost", "device_seconds", "cached")


@pytest.fixture(scope="module")
def server(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cache")
    keys = folder / "keys"
    keys.write_text(f"admin {DIGEST}\n")
    flags = ("--answer-cache", str(ENTRIES), "--target-delay-ms", "0", "--admin-keys", str(keys))
    with serve(calibrated_dir, folder / "log", *flags) as running:
        running.client.headers["X-API-Key"] = KEY
        yield running


def post(server: Server, inputs: Any, **fields: Any) -> tuple[Any, int]:
    """The answers, and how many of them were kept ones."""
    response = server.client.post("/v1/classify", json={"inputs": inputs, **fields})
    assert response.status_code == 200, response.text
    return response.json(), int(response.headers.get("x-nestling-cached", "0"))


def without_costs(answer: Any) -> Any:
    decision = {k: v for k, v in answer["decision"].items() if k not in COSTS}
    return {**answer, "decision": decision}


def counts(server: Server) -> tuple[float, ...]:
    """Hits, misses, entries; texts answered by a student."""
    now = server.metrics()
    kept = (now[f"nestling_answer_cache_{name}"] for name in ("hits_total", "misses_total"))
    ran = sum(value for name, value in now.items() if "stage_answers_total{outcome=acc" in name)
    return (*kept, now["nestling_answer_cache_entries"], ran)


def test_the_same_answers_for_nothing(server: Server, texts: list[str]) -> None:
    asked = list(dict.fromkeys(texts))[:20]
    before = counts(server)
    first, kept = post(server, asked)
    assert kept == 0
    again, kept = post(server, asked)
    assert kept == 20
    hits, misses, entries, ran = (b - a for a, b in zip(before, counts(server), strict=True))
    assert (hits, misses, entries, ran) == (20, 20, 20, 20)
    assert [without_costs(answer) for answer in first] == [without_costs(a) for a in again]
    assert not any(answer["decision"]["cached"] for answer in first)
    for each in again:
        assert [each["decision"][name] for name in COSTS] == [0, 0, 0, True]
    alone, kept = post(server, asked[3])
    assert (alone, kept) == (again[3], 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"inputs": ["turn off lights"]}),
        ("/", {"inputs": "turn off the lights"}),
        (
            "/v2/models/auto/infer",
            {
                "inputs": [
                    {
                        "name": "input_ids",
                        "datatype": "INT64",
                        "shape": [1, 4],
                        "data": [2, 4, 5, 3],
                    },
                    {"name": "lengths", "datatype": "INT64", "shape": [1], "data": [4]},
                ],
                "outputs": [{"name": "label"}, {"name": "probabilities"}, {"name": "student"}],
            },
        ),
    ],
)
def test_every_protocol_answers_so(server: Server, path: str, body: Any) -> None:
    first, again = (server.client.post(path, json=body) for _ in range(2))
    assert first.status_code == 200
    assert first.content == again.content
    assert "x-nestling-cached" not in first.headers
    assert again.headers["x-nestling-cached"] == "1"
    assert again.headers["x-nestling-cost"] == "0"
    for header in ("x-nestling-path", "x-nestling-confidence"):
        assert first.headers[header] == again.headers[header]


def test_what_decides_the_answer_tells_answers_apart(server: Server) -> None:
    text = "transfer money to my savings account"
    for fields in ({}, {"model": "short"}, {"min_confidence": 0.5}, {"max_cost": 1.9}):
        assert post(server, text, **fields)[1] == 0, fields
        assert post(server, text, **fields)[1] == 1, fields
    assert post(server, text, model="all")[1] == 1  # what `auto` stands for
    assert post(server, text, deadline_ms=60_000)[1] == 1
    assert post(server, f"{text} ")[1] == 0


def test_one_request_may_hold_kept_and_new_texts_and_repeat_them(server: Server) -> None:
    known, fresh = "set an alarm for six", "play some weather"
    expected = {known: post(server, known)[0]["label"], fresh: ""}
    expected[fresh] = server.classify(fresh, model="all", min_confidence=1e-9)["label"]
    asked = [fresh, known, fresh, known]
    answers, kept = post(server, asked)
    assert kept == 2
    assert [answer["label"] for answer in answers] == [expected[text] for text in asked]
    assert [answer["decision"]["cached"] for answer in answers] == [False, True, False, True]
    assert post(server, asked)[1] == 4


def test_errors_call_a_text_by_its_place_in_the_request(server: Server) -> None:
    post(server, "book a table")
    long = " ".join(["money"] * 60)
    reply = server.client.post("/v1/classify", json={"inputs": ["book a table", "book", long]})
    assert reply.status_code == 422
    assert reply.json()["error"]["field"] == "inputs[2]"


def test_a_truncated_answer_is_none_to_who_does_not_want_one(server: Server) -> None:
    long = " ".join(["money"] * 61)
    truncated = {"inputs": long, "truncate": True}
    replies = [server.client.post("/predict", json=truncated) for _ in range(2)]
    assert replies[0].json() == replies[1].json()
    assert replies[1].headers["x-nestling-cached"] == "1"
    assert server.client.post("/predict", json={"inputs": long}).status_code == 413


def test_it_is_bounded_and_keeps_what_is_asked_for(server: Server, texts: list[str]) -> None:
    post(server, "what is the weather")
    many = list(dict.fromkeys(texts))
    assert len(many) > 2 * ENTRIES
    for place in range(0, len(many), 20):
        post(server, many[place : place + 20])
        assert counts(server)[2] <= ENTRIES
        assert post(server, "what is the weather")[1] == 1
    assert post(server, many[0])[1] == 0
    assert post(server, many[-1])[1] == 1


def test_long_texts_are_not_kept(server: Server) -> None:
    long = "x" * (LONGEST + 1)
    assert [post(server, long)[1] for _ in range(2)] == [0, 0]
    assert [post(server, long[1:])[1] for _ in range(2)] == [0, 1]


def test_a_reload_begins_with_nothing(server: Server) -> None:
    post(server, "book a table")
    assert post(server, "book a table")[1] == 1
    assert server.client.post("/admin/reload").status_code == 200
    assert counts(server)[2] == 0
    assert post(server, "book a table")[1] == 0


def scenario_of(calibrated: Checkpoint, scenario: Any, **settings: float) -> Any:
    return run(calibrated, scenario, answer_cache=10, **settings)


async def decided(service: Service, text: str, **contract: Any) -> Decision:
    [decision] = (await answer(service, one(text), RequestConstraints(**contract))).decisions
    return decision


def test_answers_of_a_brownout_are_not_kept(calibrated: Checkpoint, texts: list[str]) -> None:
    text = longest_path(calibrated, texts)

    async def scenario(service: Service, runner: GatedRunner) -> list[Decision]:
        found = []
        for level in (3, 0, 3):
            service.load.brownout.level = level
            found.append(await decided(service, text))
        return found

    browned_out, full, kept = scenario_of(calibrated, scenario)
    assert (browned_out.brownout, browned_out.cached, len(browned_out.steps)) == (3, False, 1)
    assert (full.brownout, full.cached, len(full.steps)) == (0, False, 3)
    assert (kept.brownout, kept.cached, len(kept.steps)) == (0, True, 3)


def test_what_a_deadline_cut_short_is_not_kept(calibrated: Checkpoint, texts: list[str]) -> None:
    text = longest_path(calibrated, texts)

    async def scenario(service: Service, runner: GatedRunner) -> list[Decision]:
        service.durations.observe(["small"], 60)
        return [
            await decided(service, text, deadline=perf_counter() + 30),
            await decided(service, text),
            await decided(service, text, deadline=perf_counter() + 30),
        ]

    cut, full, kept = scenario_of(calibrated, scenario)
    assert (cut.limited_by, cut.cached) == (Limit.DEADLINE, False)
    assert (full.limited_by, full.cached) == (None, False)
    assert (kept.limited_by, kept.cached, len(kept.steps)) == (None, True, 3)


def test_what_a_budget_cut_short_is_the_same_next_time(
    calibrated: Checkpoint, texts: list[str]
) -> None:
    text = longest_path(calibrated, texts)

    async def scenario(service: Service, runner: GatedRunner) -> list[Decision]:
        return [await decided(service, text, max_cost=0.9) for _ in range(2)]

    first, again = scenario_of(calibrated, scenario)
    assert first.limited_by is again.limited_by is Limit.MAX_COST
    assert (first.cached, again.cached) == (False, True)
    kept = again.logits.base  # not its batch, which it would keep alive
    assert kept.base is None
    assert kept.shape == (1, *again.logits.shape)


def test_two_at_once_are_both_computed(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> list[Any]:
        together = await asyncio.gather(*(decided(service, "book") for _ in range(2)))
        return [together, await decided(service, "book"), sum(runner.batches)]

    together, later, computed = scenario_of(calibrated, scenario, fill_ms=0.0)
    assert [decision.cached for decision in together] == [False, False]
    assert later.cached
    assert computed >= 2


def test_a_request_that_fails_leaves_nothing(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> Decision:
        with pytest.raises(RequestError):
            await decided(service, "set an alarm")  # the poison
        runner.poison = -1
        return await decided(service, "set an alarm")

    assert not scenario_of(calibrated, scenario).cached


def test_shadowing_asks_nothing_again(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> None:
        for _ in range(3):
            await decided(service, "book a table")
        await decided(service, "play some music")
        assert service.shadow
        shadow = service.shadow.sampler
        await until_async(lambda: service.watch.monitors["all"].texts > 0 and not shadow.waiting)
        assert service.watch.monitors["all"].texts == 2
        unwatched = "nestling_shadow_unwatched_total"
        again = service.metrics.registry.get_sample_value(unwatched, {"reason": "repeat"})
        assert again == 0  # what is kept comes by no shadow

    scenario_of(calibrated, scenario, shadow=1.0)


def test_without_the_setting_nothing_is_kept(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> list[Decision]:
        return [await decided(service, "book a table") for _ in range(2)]

    assert not any(decision.cached for decision in run(calibrated, scenario))


def test_variants_have_answers_of_their_own_and_exposures_their_true_cost(
    calibrated_dir: Path, tmp_path: Path
) -> None:
    declared = declaration(experiment(start="2026-01-01T00:00:00Z", end=None))
    with start(calibrated_dir, tmp_path, declared, "--answer-cache", "10") as server:
        first: dict[str, str] = {}
        for number in range(40):
            variants, response = ask(server, f"user-{number}")
            variant, decision = variants["smaller"], response.json()["decision"]
            assert decision["cached"] is (variant in first)
            assert first.setdefault(variant, decision["model"]) == decision["model"]
        assert set(first) == {"control", "small"}
        assert len(set(first.values())) == 2
        until(lambda: server.metrics()["nestling_exposures_written_total"] == 40)
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    columns = (exposures.c.variant, exposures.c.relative_cost, exposures.c.flops)
    with transaction(engine) as connection:
        rows = connection.execute(select(*columns).order_by(exposures.c.at)).all()
    engine.dispose()
    for variant in first:
        cost, *rest = [row for row in rows if row.variant == variant]
        assert cost.relative_cost > 0
        assert {(row.relative_cost, row.flops) for row in rest} == {(0, 0)}
