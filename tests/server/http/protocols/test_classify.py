"""`/v1/classify`: the form of an answer, and that company in a batch does not change it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest

from nestling.models import Checkpoint, Decision, Predictor

from ...serving import Server

TEXT = "how do i say goodbye in french"


def test_greets_with_a_command_that_works(server: Server) -> None:
    assert "tiny-intents" in server.greeting
    assert "3 students, 5 labels" in server.greeting


def test_answers_what_curl_sends(server: Server) -> None:
    """`curl -d` declares a form, whatever the body is."""
    response = server.client.post(
        "/v1/classify",
        content=f'{{"inputs": "{TEXT}"}}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["label"] == server.classify(TEXT)["label"]


def test_the_whole_answer(server: Server, calibrated: Checkpoint) -> None:
    expected = Predictor(calibrated).predict([TEXT])[0]
    answer = server.classify(TEXT)
    decision = answer["decision"]
    assert answer["label"] == calibrated.architecture.head().labels[expected.answer.label]
    assert answer["score"] == decision["path"][-1]["confidence"]
    assert decision.pop("device_seconds") > 0
    assert decision == {
        "model": "all",
        "student": expected.answer.stage.student.name,
        "path": [
            {
                "student": step.stage.student.name,
                "label": calibrated.architecture.head().labels[step.label],
                "confidence": pytest.approx(step.confidence, abs=2e-6),
                "score": "probability",
                "score_value": pytest.approx(step.confidence, abs=2e-6),
                "threshold": round(step.stage.threshold, 6),
                "energy": pytest.approx(step.energy, abs=2e-6),
                "scope": 0.0,
                "accepted": step.accepted,
            }
            for step in expected.steps
        ],
        "limited_by": None,
        "cached": False,
        "brownout": 0,
        "variants": {},
        "tokens": 9,
        "flops": round(expected.flops),
        "relative_cost": pytest.approx(expected.relative_cost, rel=1e-3),
        "weights": calibrated.weights_sha256[:12],
    }


def test_a_list_answers_a_list_in_order(server: Server, texts: list[str]) -> None:
    answers = server.classify(texts[:20])
    assert isinstance(answers, list)
    alone = [server.classify(text) for text in texts[:20]]
    assert [without_time(a) for a in answers] == [without_time(a) for a in alone]
    assert isinstance(server.classify(texts[:1]), list)


@pytest.mark.parametrize("model", ["auto", "all", "short", "tiny", "small", "ta"])
def test_model_names_the_policy(server: Server, model: str) -> None:
    decision = server.classify(TEXT, model=model)["decision"]
    assert decision["model"] == ("all" if model == "auto" else model)
    if model in ("tiny", "small", "ta"):
        assert [step["student"] for step in decision["path"]] == [model]


def test_scores_of_the_likeliest_labels(
    server: Server, calibrated: Checkpoint, texts: list[str]
) -> None:
    for model in ("all", "tiny"):
        answers = server.classify(texts[:9], model=model, top_k=2)
        whole = server.client.post(f"/models/{model}", json={"inputs": texts[:9]}).json()
        assert [each["scores"] for each in answers] == [scores[:2] for scores in whole]
        for each in answers:
            assert each["scores"][0]["label"] == each["label"]
            assert each["scores"][0]["score"] == pytest.approx(each["score"], abs=2e-6)
    assert len(server.classify(TEXT, top_k=2**62)["scores"]) == 5
    assert "scores" not in server.classify(TEXT, top_k=None)


def test_a_too_long_text_by_its_beginning(server: Server) -> None:
    for fields in ({}, {"truncate": False}, {"truncate": None}):
        response = server.client.post("/v1/classify", json={"inputs": "alarm " * 50, **fields})
        assert (response.status_code, response.json()["error"]["type"]) == (422, "too_long")
    cut = server.classify(["alarm " * 50, TEXT], truncate=True)
    assert [each["decision"]["tokens"] for each in cut] == [40, 9]
    assert without_time(cut[0]) == without_time(server.classify("alarm " * 38))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"top_k": 0}, "top_k: 0; it must be 1 or more"),
        ({"top_k": 1.5}, "top_k: expected an integer, got a number"),
        ({"top_k": True}, "top_k: expected an integer, got a boolean"),
        ({"truncate": 1}, "truncate: expected a boolean, got a number"),
        ({"abstain": "no"}, "abstain: expected a boolean, got a string"),
    ],
)
def test_wrong_wishes(server: Server, fields: dict[str, Any], message: str) -> None:
    response = server.client.post("/v1/classify", json={"inputs": TEXT, **fields})
    assert response.status_code == 422
    assert response.json()["error"]["message"] == message


@pytest.mark.parametrize("text", ["Grüße 你好 🦆", "a\x00b", "play\u2028music", "x" * 5000])
def test_any_text_is_answered(server: Server, text: str) -> None:
    assert server.classify(text)["label"]


def test_alone_equals_batched_under_mixed_traffic(
    server: Server, calibrated: Checkpoint, texts: list[str]
) -> None:
    rng = random.Random(1)
    requests: list[tuple[list[str], str]] = []
    for _ in range(120):
        count = rng.choice([1, 1, 1, 2, 7])
        model = rng.choice(["auto", "auto", "short", "tiny", "small", "ta"])
        requests.append((rng.choices(texts, k=count), model))
    answers = asyncio.run(post_all(server.url, requests))
    predictors = {model: Predictor(calibrated, model) for _, model in requests}
    stages = set()
    for (inputs, model), answer in zip(requests, answers, strict=True):
        for text, one in zip(inputs, answer, strict=True):
            [alone] = predictors[model].predict([text])
            assert_same(one, alone, calibrated)
            stages.add(len(alone.steps))
    assert stages == {1, 2, 3}


async def post_all(url: str, requests: list[tuple[list[str], str]]) -> list[Any]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def post(inputs: list[str], model: str) -> Any:
            response = await client.post("/v1/classify", json={"inputs": inputs, "model": model})
            assert response.status_code == 200, response.text
            return response.json()

        return await asyncio.gather(*(post(*request) for request in requests))


def assert_same(answer: dict[str, Any], alone: Decision, checkpoint: Checkpoint) -> None:
    labels = checkpoint.architecture.head().labels
    assert answer["label"] == labels[alone.answer.label]
    assert [
        (step["student"], step["label"], step["confidence"], step["accepted"])
        for step in answer["decision"]["path"]
    ] == [
        (
            step.stage.student.name,
            labels[step.label],
            pytest.approx(step.confidence, abs=1e-5),
            step.accepted,
        )
        for step in alone.steps
    ]


def without_time(answer: dict[str, Any]) -> dict[str, Any]:
    decision = {k: v for k, v in answer["decision"].items() if k != "device_seconds"}
    path = [
        {**step, **{name: round(step[name], 4) for name in ("confidence", "score_value")}}
        for step in decision["path"]
    ]
    return {"label": answer["label"], **decision, "path": path}
