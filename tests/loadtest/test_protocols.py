"""From texts to a request and from an answer to labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from nestling.loadtest.client.protocols import PROTOCOLS, Answer, declared
from nestling.loadtest.client.target import Target
from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.texts import TextOrPair

TARGET = Target("http://x:1/base", "x:1", "/base", 2, ("127.0.0.1", 1), "secret")


def asked(name: str, texts: Sequence[TextOrPair]) -> tuple[str, Any]:
    head, _, body = PROTOCOLS[name].request(TARGET, texts, "small").partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert f"Content-Length: {len(body)}" in lines
    assert "Authorization: Bearer secret" in lines
    return lines[0].split()[1], json.loads(body)


def read(name: str, answer: object, **headers: str) -> Answer:
    given = {key.replace("_", "-").encode(): value.encode() for key, value in headers.items()}
    return PROTOCOLS[name].reader()(given, json.dumps(answer).encode())


def test_native() -> None:
    path, body = asked("native", ["a", "b"])
    assert (path, body) == ("/base/v1/classify", {"inputs": ["a", "b"], "model": "small"})
    decision = {"student": "ta", "relative_cost": 1.5, "device_seconds": 0.01, "brownout": 2}
    found = read("native", [{"label": "x", "decision": decision}])
    assert found == Answer(["x"], ["ta"], [1.5], [0.01], 2)


def test_text_embeddings_inference() -> None:
    assert asked("tei", ["a", "b"]) == ("/base/predict", {"inputs": [["a"], ["b"]]})
    scores = [[{"score": 0.1, "label": "x"}, {"score": 0.9, "label": "y"}]]
    assert read("tei", scores) == Answer(["y"])
    headers = {"x_nestling_student": "tiny", "x_nestling_cost": "0.25", "x_nestling_brownout": "1"}
    assert read("tei", scores, **headers) == Answer(["y"], ["tiny"], [0.25], (), 1)


def test_open_inference_protocol() -> None:
    path, body = asked("oip", ["a", "b"])
    assert path == "/base/v2/models/small/infer"
    assert body["inputs"] == [
        {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}
    ]
    assert read("oip", {"outputs": [{"name": "label", "data": ["x", "y"]}]}).labels == ["x", "y"]


def test_hugging_face_and_infinity() -> None:
    assert asked("huggingface", ["a"])[1] == {"inputs": ["a"], "parameters": {"top_k": 1}}
    assert read("huggingface", [[{"label": "x", "score": 1}]]).labels == ["x"]
    assert asked("infinity", ["a"]) == ("/base/classify", {"model": "small", "input": ["a"]})
    assert read("infinity", {"data": [[{"label": "x", "score": 1}]]}).labels == ["x"]


def test_pairs() -> None:
    pairs = [("a", "b"), ("c", "d")]
    objects = [{"text": "a", "text_pair": "b"}, {"text": "c", "text_pair": "d"}]
    assert asked("native", pairs)[1] == {"inputs": objects, "model": "small"}
    assert asked("huggingface", pairs)[1]["inputs"] == objects
    assert asked("tei", pairs)[1] == {"inputs": [["a", "b"], ["c", "d"]]}
    [tensor] = asked("oip", pairs)[1]["inputs"]
    assert (tensor["shape"], tensor["data"]) == ([2, 2], ["a", "b", "c", "d"])


def test_several_labels() -> None:
    """Each protocol's answer is the text that the file's labels are."""
    row = [{"label": "b", "score": 0.9}, {"label": "ü", "score": 0.5}, {"label": "c", "score": 0.4}]
    wanted = ['["b", "ü"]', "[]"]

    def held(name: str, body: Any) -> Any:
        return PROTOCOLS[name].of_sets().reader()({}, json.dumps(body).encode()).labels

    decision = {"student": "s", "relative_cost": 1.0, "device_seconds": 0.1, "brownout": 0}
    answers = [{"labels": labels, "decision": decision} for labels in (["ü", "b"], [], None)]
    assert held("native", answers) == [*wanted, None]
    assert held("tei", [row, row[2:]]) == wanted
    assert held("huggingface", [row, []]) == wanted
    assert held("infinity", {"data": [row, row[2:]]}) == wanted
    assert held("oip", {"outputs": [{"data": wanted}]}) == wanted
    assert PROTOCOLS["huggingface"].of_sets().body == {"inputs": "$texts"}
    assert PROTOCOLS["infinity"].of_sets().body == PROTOCOLS["infinity"].body


def test_one_of_ones_own() -> None:
    rows = {"mine": {"path": "/x", "body": {"q": "$texts", "n": "$count"}, "labels": "out.*.0"}}
    mine = declared(json.dumps(rows).encode(), "file")["mine"]
    assert mine.request(TARGET, ["a"], "m").endswith(b'{"q":["a"],"n":1}')
    assert mine.reader()({}, b'{"out": [["x"], ["y"]]}').labels == ["x", "y"]


def test_labels_within_a_string_of_json() -> None:
    row = {"path": "/x", "body": {}, "labels": "data.*.json.label"}
    mine = declared(json.dumps({"mine": row}).encode(), "file")["mine"].reader()
    assert mine({}, json.dumps({"data": ['{"label": "x"}', '{"label": "y"}']}).encode()).labels == [
        "x",
        "y",
    ]
    with pytest.raises(ValueError, match="unexpected end of data"):
        mine({}, b'{"data": ["{"]}')


@pytest.mark.parametrize("given", ["{", "[]", '{"a": 1}', '{"a": {"path": "/"}}',
                                   '{"a": {"path": "x", "body": {}, "labels": "*"}}'])  # fmt: skip
def test_a_declaration_that_is_none(given: str) -> None:
    with pytest.raises(LoadtestError, match=r"^file"):
        declared(given.encode(), "file")
