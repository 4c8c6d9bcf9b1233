"""What a model says of a wrong body: which field, which limit, and which of several errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, Tag

from nestling.models.json_checks import refusal
from nestling.server.errors import Reason, RequestError
from nestling.server.http.body import Body, Deadline, Strings, Texts, check
from nestling.server.http.body_errors import Otherwise, expects

Numbers = Annotated[list[int], Field(fail_fast=True), Tag("a list of integers")]


class Inner(Body):
    """A part of a body."""

    flag: bool | None = None
    size: Annotated[int | None, Field(ge=1, le=9)] = None


Parts = Annotated[list[Inner], Field(fail_fast=True), expects(list, "a list of parts")]


class Outer(Body):
    """A body with everything that bodies have."""

    inputs: Texts
    mixed: Annotated[Strings | Numbers, Field(union_mode="left_to_right")] | None = None
    inner: Inner | None = None
    parts: Parts | None = None
    deadline_ms: Deadline = None
    colour: Literal["red", "blue"] | None = None
    bounded: Annotated[list[str] | None, Field(max_length=1)] = None
    shape: Annotated[Literal["round"] | None, Otherwise("only round ones roll")] = None


def error(value: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        check(value, Outer)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"inputs": 1}, Reason.WRONG_TYPE, "inputs: expected a string or a list of strings or"),
        ({"inputs": ["a", 1]}, Reason.WRONG_TYPE, "inputs[1]: expected a string, got a number"),
        # What a value is called in an error is no name that a body can borrow.
        ({"inputs": {"a string": 1}}, Reason.UNKNOWN_FIELD, "inputs.a string: unknown; known are"),
        ({"mixed": [1, 2, "a"]}, Reason.WRONG_TYPE, "mixed[2]: expected an integer, got a string"),
        ({"mixed": ["a", "b", 1]}, Reason.WRONG_TYPE, "mixed[2]: expected a string, got a number"),
        ({"mixed": [True]}, Reason.WRONG_TYPE, "mixed[0]: expected a string, got a boolean"),
        ({"inner": []}, Reason.WRONG_TYPE, "inner: expected an object, got a list"),
        ({"inner": {"flag": 1}}, Reason.WRONG_TYPE, "inner.flag: expected a boolean, got a number"),
        ({"inner": {"flags": 1}}, Reason.UNKNOWN_FIELD, "inner.flags: unknown; known are flag, si"),
        ({"inner": {"size": 1.0}}, Reason.WRONG_TYPE, "inner.size: expected an integer, got a num"),
        ({"inner": {"size": 0}}, Reason.OUT_OF_RANGE, "inner.size: 0; it must be 1 or more and at"),
        ({"parts": {"": 1}}, Reason.WRONG_TYPE, "parts: expected a list of parts, got an object"),
        ({"parts": [{}, 5]}, Reason.WRONG_TYPE, "parts[1]: expected an object, got a number"),
        ({"parts": [{}, {"x": 5}]}, Reason.UNKNOWN_FIELD, "parts[1].x: unknown; known are flag"),
        ({"parts": [{"size": 10}]}, Reason.OUT_OF_RANGE, "parts[0].size: 10; it must be 1 or mor"),
        ({"deadline_ms": 0}, Reason.OUT_OF_RANGE, "deadline_ms: 0; it must be above 0 and at most"),
        ({"deadline_ms": "5"}, Reason.WRONG_TYPE, "deadline_ms: expected a number, got a string"),
        ({"deadline_ms": True}, Reason.WRONG_TYPE, "deadline_ms: expected a number, got a boolean"),
        ({"colour": "green"}, Reason.OUT_OF_RANGE, "colour: 'green' is none of red, blue"),
        ({"colour": ["red"]}, Reason.OUT_OF_RANGE, "colour: a list is none of red, blue"),
        ({"bounded": ["a", "b"]}, Reason.OUT_OF_RANGE, "bounded: List should have at most 1 item"),
        ({"shape": "flat"}, Reason.OUT_OF_RANGE, "shape: 'flat'; only round ones roll"),
    ],
)
def test_the_field_at_fault_is_named(fields: dict[str, Any], reason: Reason, message: str) -> None:
    found = error({"inputs": "a", **fields})
    assert found.reason is reason
    assert str(found).startswith(message)


def test_of_several_errors_the_plainest_comes_first() -> None:
    wrong = {"inner": {"flags": 1}, "colour": "green", "x": 1}
    assert error(wrong).field == "x"
    del wrong["x"]
    assert error(wrong).field == "inner.flags"
    del wrong["inner"]
    assert str(error(wrong)) == "inputs: missing"
    assert error({"inputs": 1, "colour": "green"}).field == "inputs"


def test_null_is_as_left_out() -> None:
    nulls = dict.fromkeys(("mixed", "inner", "deadline_ms", "colour", "shape"))
    assert check({"inputs": "a", **nulls}, Outer) == check({"inputs": "a"}, Outer)


def test_no_part_of_a_body_costs_more_to_refuse_than_to_read() -> None:
    """Half a million wrong parts get one error, not half a million."""
    crowd: dict[str, Any] = {f"x{number}": number for number in range(500_000)}
    assert error(crowd).field == "x0"
    assert error({"inputs": "a", "inner": crowd}).field == "inner.x0"
    assert error({"inputs": [5] * 500_000}).field == "inputs[0]"
    assert error({"inputs": "a", "parts": [5] * 500_000}).field == "parts[0]"
    assert error({"inputs": "a", "y" * 1_000_000: 1}).field == "y" * 64


def test_a_models_own_refusal_keeps_reason_and_numbers() -> None:
    raised = refusal(Reason.TOO_LONG, "7 of 5", limit=5, actual=7)
    assert raised.context == {
        "reason": Reason.TOO_LONG,
        "message": "7 of 5",
        "details": {"limit": 5, "actual": 7},
    }
