"""Requests that Triton's client would never send: each is refused, saying what is wrong."""

from __future__ import annotations

from struct import pack
from typing import Any

import orjson
import pytest

from ...serving import Server

PATH = "/v2/models/tiny/infer"
HEADER = "Inference-Header-Content-Length"


def text(**changes: object) -> dict[str, Any]:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["alarm"], **changes}
    return {name: value for name, value in tensor.items() if value is not None}


def binary(size: object, **changes: object) -> dict[str, Any]:
    return text(data=None, parameters={"binary_data_size": size}, **changes)


def ids(**changes: object) -> dict[str, Any]:
    return {"name": "input_ids", "datatype": "INT64", "shape": [1, 2], "data": [2, 3], **changes}


LENGTHS = {"name": "lengths", "datatype": "INT64", "shape": [1], "data": [2]}
WORD = pack("<I", 5) + b"alarm"


def refused(response: Any, status: int = 400) -> str:
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"error"}
    message: str = body["error"]
    return message


def send(server: Server, inputs: object, raw: bytes = b"", length: str | None = None) -> Any:
    head = orjson.dumps({"inputs": inputs})
    headers = {HEADER: length or str(len(head))} if raw or length else {}
    return server.client.post(PATH, content=head + raw, headers=headers)


def test_both_ways_of_json_are_taken(server: Server) -> None:
    for tensor in (
        text(),
        text(shape=[1, 1], data=[["alarm"]]),
        text(shape=[1, 1]),
        text(parameters={"content_type": "str"}),
    ):
        response = send(server, [tensor])
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == "application/json"
    for data in ([2, 3], [[2, 3]]):
        assert send(server, [ids(data=data), LENGTHS]).status_code == 200
    response = send(server, [binary(9)], WORD)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "inputs: neither `text` nor `input_ids` is there"),
        ({}, "inputs: expected a list of tensors, got an object"),
        ([5], "inputs[0]: expected a tensor, got a number"),
        ([text(name="txt")], "inputs[0].name: 'txt' is none of text, input_ids, lengths"),
        ([text(name=["text"])], "inputs[0].name: a list is none of text"),
        ([text(datatype="FP32")], "text: datatype 'FP32'; it is BYTES"),
        ([text(datatype=None)], "text: datatype null; it is BYTES"),
        ([text(shape=None)], "text.shape: expected a list of integers, got null"),
        ([text(shape=[])], "text: 0 dimensions; expected shape [n] or [n, 1]"),
        ([text(shape=[1, 3])], "text: shape [1, 3]; expected [n] or [n, 1], of pairs [n, 2]"),
        ([text(shape=[-1])], "text: shape [-1]; expected [n] or [n, 1]"),
        ([text(shape=[True])], "text.shape[0]: expected an integer, got a boolean"),
        ([text(shape=[10**18])], "text: 1000000000000000000 texts; the limit is 1024"),
        ([text(shape=[2])], "text: 1 elements, but shape [2] has 2"),
        ([text(data="alarm")], "text.data: expected a list, got a string"),
        ([text(data=None)], "text.data: expected a list, got null"),
        ([text(data=[5])], "text[0]: expected a string, got a number"),
        ([text(data=[], shape=[0])], "text: an empty list; expected at least one text"),
        ([text(parameters=[])], "text.parameters: expected an object, got a list"),
        (
            [text(parameters={"shared_memory_region": "r"})],
            "text.parameters.shared_memory_region: unknown",
        ),
        ([text(rows=1)], "inputs[0].rows: unknown; known are name, datatype"),
        ([ids(data=[2, "3"]), LENGTHS], "input_ids.data[1]: expected an integer, got a string"),
        ([ids(data=[2, 3.5]), LENGTHS], "input_ids.data[1]: expected an integer, got a number"),
        ([ids(data=[2, True]), LENGTHS], "input_ids.data[1]: expected an integer, got a boolean"),
        ([ids(data=[2, 2**63]), LENGTHS], "input_ids.data: an integer beyond INT64"),
        ([ids(shape=[2]), LENGTHS], "input_ids: 1 dimensions; expected shape [n, longest]"),
        ([ids(shape=[0, 2**63], data=[]), LENGTHS], "input_ids: an empty list"),
        ([ids(shape=[1, 2**63]), LENGTHS], "input_ids: 2 elements, but shape [1, 9223372036854"),
        ([ids(shape=[2, 2], data=[[2, 3, 4], [5]])], "input_ids: data is nested otherwise than"),
        ([ids(shape=[2, 1], data=[[2, 3]])], "input_ids: data is nested otherwise than shape"),
        ([ids(shape=[1, 0], data=[]), LENGTHS], "lengths[0]: 2; a row of input_ids has from 1"),
        ([ids(shape=[0, 2], data=[]), LENGTHS], "input_ids: an empty list"),
        ([ids(), {**LENGTHS, "data": [0]}], "lengths[0]: 0; a row of input_ids has from 1 to 2"),
        (
            [ids(), {**LENGTHS, "data": [2, 2], "shape": [2]}],
            "lengths: 2 of them for 1 rows",
        ),
    ],
)
def test_tensors_in_json(server: Server, inputs: object, message: str) -> None:
    assert refused(send(server, inputs)).startswith(message)


@pytest.mark.parametrize(
    ("tensor", "raw", "message"),
    [
        (binary(9), WORD[:-1], "text: binary_data_size is 9, but 8 bytes are left"),
        (binary(9), WORD + b"!", "1 bytes of the binary section belong to no input"),
        (text(), WORD, "9 bytes of the binary section belong to no input"),
        (binary(-1), WORD, "text: binary_data_size -1; it is a byte count"),
        (binary("9"), WORD, "text: binary_data_size '9'; it is a byte count"),
        (binary(True), WORD, "text: binary_data_size a boolean; it is a byte count"),
        (binary(None), WORD, "text.data: expected a list, got null"),  # null is as left out
        (binary(3), b"\x05\0\0", "text[0]: 3 bytes, where a length has 4"),
        (binary(11, shape=[2]), WORD + b"\1\0", "text[1]: 2 bytes, where a length has 4"),
        (binary(18), 2 * WORD, "text: 9 bytes are left behind the 1 elements of its shape"),
        (binary(4 * 10**6), bytes(4 * 10**6), "text: 3999996 bytes are left behind the 1 elem"),
        (binary(8), pack("<I", 5) + b"alar", "text[0]: its length is 5, but 4 bytes are left"),
        (binary(8), b"\xff" * 8, "text[0]: its length is 4294967295, but 4 bytes are left"),
        (binary(6), pack("<I", 2) + b"\xc3\x28", "text[0]: not UTF-8 at byte 0"),
        (binary(9, shape=[2]), WORD, "text: 1 elements, but shape [2] has 2"),
    ],
)
def test_binary_sections(server: Server, tensor: object, raw: bytes, message: str) -> None:
    assert refused(send(server, [tensor], raw)).startswith(message)


def test_integers_have_eight_bytes(server: Server) -> None:
    tensor = ids(data=None, parameters={"binary_data_size": 12})
    message = refused(send(server, [tensor, LENGTHS], b"\0" * 12))
    assert message == "input_ids: 12 bytes, where each INT64 has 8"


@pytest.mark.parametrize("length", ["-1", "1e3", "ten", "9999", "9" * 30, "²"])
def test_the_length_header(server: Server, length: str) -> None:
    body = orjson.dumps({"inputs": [binary(9)]}) + WORD
    headers = {HEADER: length.encode()}
    message = refused(server.client.post(PATH, content=body, headers=headers))
    assert message.startswith(HEADER)
    assert f"up to the body's {len(body)}" in message


def test_a_length_that_cuts_the_json(server: Server) -> None:
    assert "the body is not JSON" in refused(send(server, [binary(9)], WORD, length="20"))
    assert "the body is empty" in refused(send(server, [binary(9)], WORD, length="0"))


def test_what_stands_around_the_tensors(server: Server) -> None:
    for body, message in (
        ({}, "inputs: missing"),
        ([], "the body is a list; expected an object"),
        ({"inputs": [text()], "id": 5}, "id: expected a string, got a number"),
        ({"inputs": [text()], "output": []}, "output: unknown; known are id, inputs, outputs"),
        ({"inputs": [text()], "outputs": "label"}, "outputs: expected a list, got a string"),
        ({"inputs": [text()], "outputs": ["label"]}, "outputs[0]: expected an object"),
        (
            {"inputs": [text()], "outputs": [{"name": "label"}, {"name": "label"}]},
            "outputs[1].name: 'label' is wanted twice",
        ),
        (
            {"inputs": [text()], "parameters": {"binary_data_output": 1}},
            "parameters.binary_data_output: expected a boolean, got a number",
        ),
        (
            {"inputs": [text()], "outputs": [{"name": "label", "datatype": "BYTES"}]},
            "outputs[0].datatype: unknown; known are name, parameters",
        ),
        (
            {"inputs": [text()], "outputs": [{"name": "label", "parameters": {"binary_data": 1}}]},
            "outputs[0].parameters.binary_data: expected a boolean, got a number",
        ),
    ):
        assert refused(server.client.post(PATH, json=body)).startswith(message)


def test_limits_and_lost_ways_in_the_same_form(server: Server) -> None:
    assert "larger than the limit" in refused(
        server.client.post(PATH, content=b" " * (9 * 2**20)), 413
    )
    many = text(shape=[1025], data=["alarm"] * 1025)
    assert refused(send(server, [many])) == "text: 1025 texts; the limit is 1024"
    assert "does not take GET" in refused(server.client.get(PATH), 405)
    assert "does not exist" in refused(server.client.get("/v2/models/tiny/config"), 404)


@pytest.mark.parametrize("field", ["name", "datatype", "shape", "data", "parameters"])
def test_what_is_nested_deeper_than_python_prints(server: Server, field: str) -> None:
    """JSON may be nested a thousand deep; to show such a value is a failure of its own."""
    deep = b"[" * 1000 + b"]" * 1000
    body = orjson.dumps({"inputs": [text(**{field: "deep"})]}).replace(b'"deep"', deep)
    refused(server.client.post(PATH, content=body))
    body = orjson.dumps({"inputs": [binary("deep")]}).replace(b'"deep"', deep)
    refused(server.client.post(PATH, content=body))
    body = orjson.dumps({"inputs": [text()], "outputs": [{"name": "deep"}]})
    refused(server.client.post(PATH, content=body.replace(b'"deep"', deep)))


def test_null_is_what_typed_clients_send_for_nothing(server: Server) -> None:
    plain = {"inputs": [text()]}
    full = {
        "inputs": [{**text(), "parameters": None}],
        "id": None,
        "parameters": {"binary_data_output": None},
        "outputs": None,
    }
    answers = [server.client.post(PATH, json=body).json()["outputs"] for body in (plain, full)]
    assert [output["name"] for output in answers[0]] == [output["name"] for output in answers[1]]
    assert "id" not in server.client.post(PATH, json=full).json()
