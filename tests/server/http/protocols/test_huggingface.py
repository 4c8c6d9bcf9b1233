"""Hugging Face's protocol, asked by the Hub's own client."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from nestling.models import Checkpoint

from ...serving import Server

TEXT, OTHER = "how do i say goodbye in french", "play some music"


def post(server: Server, body: object, path: str = "/") -> Any:
    response = server.client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_hubs_client(server: Server, calibrated: Checkpoint) -> None:
    for client in (InferenceClient(base_url=server.url), InferenceClient(model=server.url)):
        found = client.text_classification(TEXT)
        answer = server.classify(TEXT)
        assert sorted(e.label for e in found) == sorted(calibrated.architecture.head().labels)
        assert found[0].label == answer["label"]
        assert found[0].score == pytest.approx(answer["score"], abs=1e-5)


@pytest.mark.parametrize("model", ["auto", "short", "tiny", "ta"])
def test_models_by_address(server: Server, model: str) -> None:
    client = InferenceClient(model=f"{server.url}/models/{model}")
    [best] = client.text_classification(TEXT, top_k=1)
    answer = server.classify(TEXT, model=model)
    assert (best.label, best.score) == (
        answer["label"],
        pytest.approx(answer["score"], abs=1e-5),
    )


def test_top_k_and_logits(server: Server) -> None:
    client = InferenceClient(model=server.url)
    assert [len(client.text_classification(TEXT, top_k=k)) for k in (1, 3, 99)] == [1, 3, 5]
    softmax = client.text_classification(TEXT, function_to_apply="softmax")
    assert softmax == client.text_classification(TEXT)
    logits = client.text_classification(TEXT, function_to_apply="none")
    assert [e.label for e in logits] == [e.label for e in softmax]
    assert sum(e.score for e in logits) != pytest.approx(1, abs=1e-2)
    with pytest.raises(HfHubHTTPError, match="function_to_apply: 'sigmoid'; known are softmax"):
        client.text_classification(TEXT, function_to_apply="sigmoid")


def test_errors_reach_the_client(server: Server) -> None:
    with pytest.raises(HfHubHTTPError, match="inputs: 52 tokens; the limit is 40"):
        InferenceClient(model=server.url).text_classification("alarm " * 50)
    with pytest.raises(HfHubHTTPError, match="'huge' is none of auto") as refusal:
        InferenceClient(model=f"{server.url}/models/huge").text_classification(TEXT)
    assert refusal.value.response.status_code == 404


def test_a_list_answers_a_list_of_lists(server: Server) -> None:
    one, both = post(server, {"inputs": TEXT}), post(server, {"inputs": [TEXT, OTHER]})
    assert (len(one), len(both)) == (1, 2)
    assert [[s["label"] for s in scores] for scores in both] == [
        [s["label"] for s in post(server, {"inputs": text})[0]] for text in (TEXT, OTHER)
    ]


def test_what_clients_send_along(server: Server) -> None:
    options = {"use_cache": False, "wait_for_model": True}
    parameters = {"top_k": None, "function_to_apply": None, "truncation": None}
    body = {"inputs": TEXT, "options": options, "parameters": parameters}
    assert post(server, body) == post(server, {"inputs": TEXT, "parameters": None})
    long = {"inputs": "alarm " * 50, "parameters": {"truncation": True, "top_k": 1}}
    assert len(post(server, long, "/models/tiny")[0]) == 1


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"inputs": ""}, 422, "inputs: an empty text"),
        ({"inputs": 5}, 422, "inputs: expected a string or a list of strings or a pair of texts"),
        ({"inputs": ["a", 5]}, 422, "inputs[1]: expected a string, got a number"),
        ({}, 422, "inputs: missing"),
        ({"inputs": "a", "model": "ta"}, 422, "model: unknown; known are inputs, parameters"),
        ({"inputs": "a", "options": 1}, 422, "options: expected an object, got a number"),
        ({"inputs": "a", "parameters": []}, 422, "parameters: expected an object, got a list"),
        (
            {"inputs": "a", "parameters": {"topk": 1}},
            422,
            "parameters.topk: unknown; known are top_k, function_to_apply, truncation",
        ),
        (
            {"inputs": "a", "parameters": {"truncation": 1}},
            422,
            "parameters.truncation: expected a boolean, got a number",
        ),
        (
            {"inputs": "a", "parameters": {"top_k": 0}},
            422,
            "parameters.top_k: 0; it must be 1 or more",
        ),
        (
            {"inputs": "a", "parameters": {"top_k": True}},
            422,
            "parameters.top_k: expected an integer, got a boolean",
        ),
        (
            {"inputs": "a", "parameters": {"function_to_apply": 5}},
            422,
            "parameters.function_to_apply: 5; known are softmax, sigmoid, none",
        ),
    ],
)
def test_refusals(server: Server, body: object, status: int, message: str) -> None:
    for path in ("/", "/models/tiny"):
        response = server.client.post(path, json=body)
        assert (response.status_code, response.json().keys()) == (status, {"error"})
        assert response.json()["error"].startswith(message)


def test_lost_ways_in_the_same_form(server: Server) -> None:
    lost = server.client.post("/models/a/b", json={"inputs": "a"})
    assert (lost.status_code, type(lost.json()["error"])) == (404, str)
    wrong = server.client.get("/models/tiny")
    assert (wrong.status_code, type(wrong.json()["error"])) == (405, str)
    broken = server.client.post("/", content=b"{")
    assert (broken.status_code, type(broken.json()["error"])) == (400, str)
