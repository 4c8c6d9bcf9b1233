"""`/predict` in the form of text-embeddings-inference, and the pages beside it."""

from __future__ import annotations

from typing import Any

import pytest

from nestling.models import Checkpoint

from ...serving import Server

TEXT, OTHER = "how do i say goodbye in french", "play some music"


def predict(server: Server, inputs: object, **fields: object) -> Any:
    response = server.client.post("/predict", json={"inputs": inputs, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def test_every_label_highest_first(server: Server, calibrated: Checkpoint) -> None:
    predictions = predict(server, TEXT)
    scores = [p["score"] for p in predictions]
    assert sorted(p["label"] for p in predictions) == sorted(calibrated.architecture.head().labels)
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-4)
    answer = server.classify(TEXT)
    assert (predictions[0]["label"], scores[0]) == (
        answer["label"],
        pytest.approx(answer["score"], abs=1e-5),
    )


def test_one_text_in_a_list_is_one_text(server: Server) -> None:
    assert predict(server, [TEXT]) == predict(server, TEXT)


def test_a_batch_is_a_list_of_lists(server: Server) -> None:
    batch = predict(server, [[TEXT], [OTHER]])
    labels = [[p["label"] for p in predictions] for predictions in batch]
    assert labels == [[p["label"] for p in predict(server, text)] for text in (TEXT, OTHER)]
    assert len(predict(server, [[TEXT]])) == 1


def test_raw_scores_are_logits(server: Server) -> None:
    raw, calibrated = predict(server, TEXT, raw_scores=True), predict(server, TEXT)
    assert [p["label"] for p in raw] == [p["label"] for p in calibrated]
    assert sum(p["score"] for p in raw) != pytest.approx(1, abs=1e-2)


def test_truncate_answers_by_the_beginning(server: Server, calibrated: Checkpoint) -> None:
    room = calibrated.architecture.max_tokens - 2  # for the special tokens
    words = (TEXT.split() * 20)[:room]
    assert predict(server, " ".join([*words, "alarm", "money"]), truncate=True) == predict(
        server, " ".join(words)
    )


def test_models_lists_what_model_may_name(server: Server, calibrated: Checkpoint) -> None:
    body = server.client.get("/v1/models").json()
    entries = {entry["id"]: entry for entry in body["data"]}
    assert list(entries) == ["auto", "all", "short", "tiny", "small", "ta"]
    assert entries["auto"]["stands_for"] == "all"
    assert [stage["student"] for stage in entries["all"]["stages"]] == ["tiny", "small", "ta"]
    assert entries["all"]["guarantee"] is None
    assert entries["tiny"]["parameters"] == calibrated.students["tiny"].parameters
    assert entries["ta"]["relative_cost"] == 1
    assert body["weights_sha256"] == calibrated.weights_sha256


def test_health_is_ready(server: Server) -> None:
    response = server.client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})
