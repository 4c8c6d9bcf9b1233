"""A server of a checkpoint whose texts may have several labels, over every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import schemathesis
from huggingface_hub import InferenceClient
from tritonclient.http import InferenceServerClient, InferInput

from nestling.models import Checkpoint, Predictor
from nestling.models.cascade.columns import Decisions

from ....conftest import LABELS
from ...serving import Server, serve
from ...several_labels import write_several

Named = Mapping[str, float]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> Checkpoint:
    return write_several(tmp_path_factory.mktemp("several"), texts)


@pytest.fixture(scope="module", params=["torch", "onnx"])
def answering(
    several: Checkpoint, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log"
    flags = ("--runner", request.param, "--answer-cache", "512", "--target-delay-ms", "0")
    with serve(several.path, log, *flags) as running:
        yield running


@pytest.fixture(scope="module")
def wanted(several: Checkpoint, texts: list[str]) -> Decisions:
    """Right answers by the default cascade: of every length, and some are empty."""
    found = Predictor(several).predict(texts)
    sizes = {len(labels) for labels in names(several, found)}
    assert {0, 1, 2} <= sizes
    assert {len(decision.steps) for decision in found} == {1, 2, 3}
    return found


def names(checkpoint: Checkpoint, decisions: Decisions) -> list[list[str]]:
    predictor = Predictor(checkpoint)
    return [predictor.label(decision) or [] for decision in decisions]  # type: ignore[misc]


def odds(decisions: Decisions) -> list[Named]:
    """Each label's sigmoid at the temperature of the student whose answer stands."""
    temperatures = np.array([stage.student.temperature for stage in decisions.told.stages])
    shares = 1 / (1 + np.exp(-decisions.logits.astype(np.float64) / temperatures[:, None]))
    return [dict(zip(LABELS, row, strict=True)) for row in shares.tolist()]


def named(scores: Sequence[Mapping[str, Any]]) -> Named:
    """By label; the likeliest stands first."""
    values = [each["score"] for each in scores]
    assert values == sorted(values, reverse=True)
    return {each["label"]: each["score"] for each in scores}


def test_natively(
    answering: Server, several: Checkpoint, texts: list[str], wanted: Decisions
) -> None:
    for turn in range(2):  # the second time out of the cache
        answers = answering.classify(texts)
        for shown, labels, decision in zip(answers, names(several, wanted), wanted, strict=True):
            assert shown["labels"] == labels
            assert "label" not in shown
            assert shown["score"] == pytest.approx(decision.answer.confidence, abs=1e-5)
            assert shown["reason"] is None
            assert shown["decision"]["cached"] == bool(turn)
            path = shown["decision"]["path"]
            assert path[-1]["labels"] == labels
            assert [step["student"] for step in path] == [
                step.stage.student.name for step in decision.steps
            ]
    one = answering.classify(texts[0])
    assert one["labels"] == answers[0]["labels"]


def test_scores_on_demand(answering: Server, texts: list[str], wanted: Decisions) -> None:
    answers = answering.classify(texts[:40], top_k=9)
    for shown, expected in zip(answers, odds(wanted), strict=False):
        scores = named(shown["scores"])
        assert scores == pytest.approx(expected, abs=1e-5)
        assert set(shown["labels"]) == {name for name, score in scores.items() if score > 0.5}
    [two] = answering.classify(texts[:1], top_k=2)
    assert two["scores"] == answers[0]["scores"][:2]


def test_without_a_label(answering: Server, several: Checkpoint, texts: list[str]) -> None:
    """An empty set is an answer; where the policy abstains there is none."""
    decisions = Predictor(several, "strict").predict(texts)
    shown = answering.classify(texts, model="strict")
    assert [each["labels"] is None for each in shown] == decisions.told.abstained
    assert 0 < sum(decisions.told.abstained) < len(texts)
    given = answering.classify(texts, model="strict", abstain=False)
    assert [each["labels"] for each in given] == [
        step["labels"] for each in given for step in each["decision"]["path"]
    ]
    assert [each["reason"] for each in given] == [each["reason"] for each in shown]


def test_hugging_faces_client(
    answering: Server, several: Checkpoint, texts: list[str], wanted: Decisions
) -> None:
    client = InferenceClient(base_url=answering.url)
    for text, expected in zip(texts[:5], odds(wanted), strict=False):
        for function in (None, "sigmoid"):
            found = client.text_classification(text, function_to_apply=function)
            assert {e.label: e.score for e in found} == pytest.approx(expected, abs=1e-5)
        [best] = client.text_classification(text, top_k=1)
        assert best.score == pytest.approx(max(expected.values()), abs=1e-5)
        raw = client.text_classification(text, function_to_apply="none")
        assert {e.label: e.score > 0 for e in raw} == {k: v > 0.5 for k, v in expected.items()}


def test_a_function_of_single_labels_is_refused(answering: Server, server: Server) -> None:
    parameters = {"function_to_apply": "softmax"}
    response = answering.client.post("/", json={"inputs": "a", "parameters": parameters})
    assert response.status_code == 422
    assert response.json()["error"] == (
        "parameters.function_to_apply: 'softmax'; known are sigmoid, none, since a text may have "
        "several labels"
    )
    parameters = {"function_to_apply": "sigmoid"}
    response = server.client.post("/", json={"inputs": "a", "parameters": parameters})
    assert response.status_code == 422
    assert response.json()["error"].endswith("since each text has exactly one label")


def test_tei(answering: Server, texts: list[str], wanted: Decisions) -> None:
    inputs = [[text] for text in texts]
    rows = answering.client.post("/predict", json={"inputs": inputs}).json()
    for scores, expected in zip(rows, odds(wanted), strict=True):
        assert named(scores) == pytest.approx(expected, abs=1e-5)
    raw = answering.client.post("/predict", json={"inputs": inputs, "raw_scores": True}).json()
    for scores, logits in zip(raw, wanted.logits.tolist(), strict=True):
        expected = dict(zip(LABELS, logits, strict=True))
        assert named(scores) == pytest.approx(expected, abs=1e-4)


def test_tritons_client(
    answering: Server, several: Checkpoint, texts: list[str], wanted: Decisions
) -> None:
    tensor = InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=np.object_))
    with InferenceServerClient(answering.url.removeprefix("http://")) as client:
        result = client.infer("auto", [tensor])
    written = [json.loads(label) for label in result.as_numpy("label")]
    assert written == [sorted(labels) for labels in names(several, wanted)]
    expected = [list(each.values()) for each in odds(wanted)]
    np.testing.assert_allclose(result.as_numpy("probabilities"), expected, atol=1e-5)
    sure = [decision.answer.confidence for decision in wanted]
    np.testing.assert_allclose(result.as_numpy("score"), sure, atol=1e-5)
    with InferenceServerClient(answering.url.removeprefix("http://")) as client:
        result = client.infer("strict", [tensor])
    without = Predictor(several, "strict").predict(texts).told.abstained
    assert [not label for label in result.as_numpy("label")] == without


def test_answers_are_as_described(answering: Server, texts: list[str]) -> None:
    described = schemathesis.openapi.from_url(f"{answering.url}/openapi.json")
    tensor = {"name": "text", "datatype": "BYTES", "shape": [40], "data": texts[:40]}
    bodies: dict[str, Any] = {
        "/v1/classify": {"inputs": texts[:40], "model": "strict", "top_k": 3},
        "/": {"inputs": texts[:40]},
        "/predict": {"inputs": [[text] for text in texts[:40]]},
        "/v2/models/{model}/infer": {"inputs": [tensor]},
    }
    for path, body in bodies.items():
        response = answering.client.post(path.format(model="auto"), json=body)
        assert response.status_code == 200
        described[path]["POST"].validate_response(response)


def test_models_say_so(answering: Server, server: Server) -> None:
    assert answering.client.get("/v1/models").json()["task"] == "multi_label"
    assert server.client.get("/v1/models").json()["task"] == "single_label"
