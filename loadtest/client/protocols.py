"""Protocols: from texts to the body of a request, and from the body of an answer to labels.

Most servers differ only by a path, a body, and the place of the label; each is a row of PROTOCOLS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import orjson

from ..errors import LoadtestError
from ..texts import TextOrPair, written
from .target import Target

Headers = dict[bytes, bytes]
HELD = 0.5
"""The least score of a label that holds, where a text may have several."""


class Answer(NamedTuple):
    """The answer to one request.

    labels: one for each text. students, costs, seconds: one for each text too, or empty if the
    server does not report them. costs: relative to the largest model. seconds: of the device.
    brownout: the level, 0 for none.
    """

    labels: Sequence[str]
    students: Sequence[str] = ()
    costs: Sequence[float] = ()
    seconds: Sequence[float] = ()
    brownout: int = 0


@dataclass(frozen=True)
class Protocol:
    """How a kind of server is asked, and where it puts its labels.

    path, body: may contain `$model`; values of the body also `$texts`, of pairs [{"text",
    "text_pair"}, …]; `$lists`, [[text], …] or [[text, text_pair], …]; `$flat`, both texts of a pair
    in turn, and `$shape`, which is [count] or [count, 2] then; `$count`. labels: the path to the
    labels in the answer, its steps separated by dots: a key, an index, `*` for every item, `best`
    for the item with the highest `score`, `held` for the labels of all items whose `score` is at
    least 0.5, as one text, `json` for the JSON inside a string. reference: the model that others
    are compared with.
    """

    name: str
    path: str
    body: Any
    labels: str
    reference: str | None = None

    def request(self, target: Target, texts: Sequence[TextOrPair], model: str) -> bytes:
        """All bytes of a request. texts: at least one; either all are pairs, or none."""
        lists = [[text] if isinstance(text, str) else list(text) for text in texts]
        of_pairs = isinstance(texts[0], tuple)
        values = {
            "$model": model,
            "$texts": [_pair(*each) for each in lists] if of_pairs else list(texts),
            "$lists": lists,
            "$flat": list(chain.from_iterable(lists)),
            "$shape": [len(texts), 2] if of_pairs else [len(texts)],
            "$count": len(texts),
        }
        body = orjson.dumps(_fill(self.body, values))
        return target.head(self.path.replace("$model", model), len(body)) + body

    def of_sets(self) -> Protocol:
        """The same, where a text may have several labels: not for the best score alone."""
        body = self.body
        if isinstance(body, dict) and body.get("parameters") == {"top_k": 1}:
            body = {name: value for name, value in body.items() if name != "parameters"}
        return replace(self, body=body, labels=self.labels.replace("best.label", "held"))

    def reader(self) -> Callable[[Headers, bytes], Answer]:
        """A function that reads an answer.

        It raises ValueError, KeyError, IndexError or TypeError for a body of another form.
        """
        steps = self.labels.split(".")

        def read(headers: Headers, body: bytes) -> Answer:
            labels: list[str] = []
            _collect(orjson.loads(body), steps, 0, labels)
            if student := headers.get(b"x-nestling-student"):
                costs = headers[b"x-nestling-cost"].split(b",")
                brownout = int(headers.get(b"x-nestling-brownout", b"0"))
                students = student.decode().split(",")
                return Answer(labels, students, [float(c) for c in costs], (), brownout)
            return Answer(labels)

        return read


@dataclass(frozen=True)
class Native(Protocol):
    """Nestling's own protocol, whose body says how each answer came about."""

    def reader(self) -> Callable[[Headers, bytes], Answer]:
        """As for every protocol; the answer includes the seconds of the device."""

        def read(_: Headers, body: bytes) -> Answer:
            rows = orjson.loads(body)
            decisions = [row["decision"] for row in rows]
            return Answer(
                [_native_label(row) for row in rows],
                [decision["student"] for decision in decisions],
                [decision["relative_cost"] for decision in decisions],
                [decision["device_seconds"] for decision in decisions],
                max(decision["brownout"] for decision in decisions),
            )

        return read


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Native("native", "/v1/classify", {"inputs": "$texts", "model": "$model"}, "*.label", "ta"),
        Protocol("tei", "/predict", {"inputs": "$lists"}, "*.best.label"),
        Protocol(
            "oip",
            "/v2/models/$model/infer",
            {
                "inputs": [
                    {"name": "text", "datatype": "BYTES", "shape": "$shape", "data": "$flat"}
                ],
                "outputs": [{"name": "label"}],
            },
            "outputs.0.data.*",
        ),
        Protocol(
            "huggingface", "/", {"inputs": "$texts", "parameters": {"top_k": 1}}, "*.best.label"
        ),
        Protocol(
            "infinity", "/classify", {"model": "$model", "input": "$texts"}, "data.*.best.label"
        ),
    )
}


def declared(given: bytes, where: str) -> dict[str, Protocol]:
    """Further protocols from JSON: `{NAME: {"path", "body", "labels"}}`.

    where: what the JSON is called in errors. Raises LoadtestError that names the field.
    """
    try:
        rows = orjson.loads(given)
    except orjson.JSONDecodeError as error:
        raise LoadtestError(f"{where}: is not JSON: {error}") from error
    if not isinstance(rows, dict):
        raise LoadtestError(f"{where}: must be an object of protocols by name")
    found = {}
    for name, row in rows.items():
        if not isinstance(row, dict) or set(row) != {"path", "body", "labels"}:
            raise LoadtestError(
                f"{where}, {name}: takes `path`, `body` and `labels`, and all three"
            )
        path, labels = row["path"], row["labels"]
        if not isinstance(path, str) or not path.startswith("/") or not isinstance(labels, str):
            raise LoadtestError(f"{where}, {name}: `path` begins with /, `labels` is a string")
        found[name] = Protocol(name, path, row["body"], labels)
    return found


def _native_label(row: dict[str, Any]) -> Any:
    """As one text where there may be several; null where the policy abstains."""
    if "label" in row:
        return row["label"]
    labels = row["labels"]
    return None if labels is None else written(labels)


def _pair(text: str, text_pair: str) -> dict[str, str]:
    return {"text": text, "text_pair": text_pair}


def _fill(template: Any, values: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        return {key: _fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, values) for value in template]
    return values.get(template, template) if isinstance(template, str) else template


def _collect(value: Any, steps: list[str], at: int, found: list[str]) -> None:
    while at < len(steps):
        step = steps[at]
        at += 1
        if step == "*":
            for item in value:
                _collect(item, steps, at, found)
            return
        if step == "json":
            value = orjson.loads(value)
        elif step == "held":
            value = written(each["label"] for each in value if each["score"] >= HELD)
        elif step == "best":
            value = max(value, key=lambda each: each["score"]) if len(value) > 1 else value[0]
        else:
            value = value[int(step)] if isinstance(value, list) else value[step]
    found.append(str(value))
