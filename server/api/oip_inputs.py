"""The request tensors of the Open Inference Protocol: texts, or token ids with their lengths."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Reason, RequestError
from ..inputs import Inputs
from .body import NamedInputs, check_count, check_known, check_object, check_texts, wrong_type
from .oip_binary import Sections, integers, strings

DATATYPES = {"text": "BYTES", "input_ids": "INT64", "lengths": "INT64"}
SHAPES = {"text": "[n] or [n, 1]", "input_ids": "[n, longest]", "lengths": "[n]"}
EXAMPLE = '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["…"]}]}'
_RANKS = {"text": (1, 2), "input_ids": (2,), "lengths": (1,)}
_FIELDS = ("name", "datatype", "shape", "data", "parameters")

Tensor = list[str] | NDArray[np.int64]


def read_inputs(items: Any, sections: Sections, limit: int, vocabulary: int) -> Inputs:
    """The tensors as inputs of the service.

    limit: texts of one request. Raises RequestError for what is unknown, missing, twice there,
    misshapen, or beyond the vocabulary.
    """
    if not isinstance(items, list):
        raise wrong_type("inputs", items, "a list of tensors")
    tensors: dict[str, Tensor] = {}
    for index, item in enumerate(items):
        name, tensor = _tensor(item, f"inputs[{index}]", sections)
        if name in tensors:
            raise RequestError(Reason.INVALID_TENSOR, "given twice", name)
        tensors[name] = tensor
    sections.finish()
    text, ids, lengths = (tensors.get(name) for name in DATATYPES)
    if isinstance(text, list):
        if ids is not None or lengths is not None:
            raise RequestError(
                Reason.INVALID_TENSOR, "either `text`, or `input_ids` and `lengths`", "inputs"
            )
        return check_texts(NamedInputs(text, single=False, name="text"), limit, "text")
    if not isinstance(ids, np.ndarray):
        raise RequestError(
            Reason.MISSING_FIELD, "neither `text` nor `input_ids` is there", "inputs"
        )
    if not isinstance(lengths, np.ndarray):
        raise RequestError(
            Reason.MISSING_FIELD, "missing; it says how many ids of each row count", "lengths"
        )
    check_count(len(ids), limit, "input_ids")
    return NamedInputs([], single=False, tokens=_rows(ids, lengths, vocabulary), name="input_ids")


def check_ids(ids: NDArray[np.int64], vocabulary: int, field: str) -> list[int]:
    """One text's token ids. Raises RequestError for the first that is not in the vocabulary."""
    outside = np.flatnonzero((ids < 0) | (ids >= vocabulary))
    if len(outside):
        position = int(outside[0])
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"token id {ids[position]} at position {position}; ids are below {vocabulary}",
            field,
            limit=vocabulary - 1,
            actual=int(ids[position]),
        )
    found: list[int] = ids.tolist()
    return found


def _rows(ids: NDArray[np.int64], lengths: NDArray[np.int64], vocabulary: int) -> list[list[int]]:
    if len(lengths) != len(ids):
        raise RequestError(
            Reason.INVALID_TENSOR, f"{len(lengths)} of them for {len(ids)} rows", "lengths"
        )
    longest = ids.shape[1]
    rows = []
    for index, (row, length) in enumerate(zip(ids, lengths.tolist(), strict=True)):
        if not 1 <= length <= longest:
            raise RequestError(
                Reason.OUT_OF_RANGE,
                f"{length}; a row of input_ids has from 1 to {longest} ids",
                f"lengths[{index}]",
                limit=longest,
                actual=length,
            )
        rows.append(check_ids(row[:length], vocabulary, f"input_ids[{index}]"))
    return rows


def _tensor(item: Any, field: str, sections: Sections) -> tuple[str, Tensor]:
    if not isinstance(item, dict):
        raise wrong_type(field, item, "a tensor")
    check_known(item, _FIELDS)
    name = item.get("name")
    if not isinstance(name, str) or name not in DATATYPES:
        raise RequestError(
            Reason.UNKNOWN_FIELD,
            f"{str(name)[:64]!r} is none of {', '.join(DATATYPES)}",
            f"{field}.name",
        )
    if item.get("datatype") != DATATYPES[name]:
        raise RequestError(
            Reason.WRONG_TYPE,
            f"datatype {str(item.get('datatype'))[:64]!r}; it is {DATATYPES[name]}",
            name,
        )
    shape = _shape(item.get("shape"), name)
    parameters = check_object(item, "parameters", ("binary_data_size", "content_type"), f"{name}.")
    if "binary_data_size" in parameters:
        raw = sections.take(_size(parameters["binary_data_size"], name), name)
        tensor: Tensor = strings(raw, name) if name == "text" else integers(raw, name)
    else:
        values = _flat(item.get("data"), len(shape), name)
        tensor = values if name == "text" else _integers(values, name)
    if len(tensor) != prod(shape):
        raise RequestError(
            Reason.INVALID_TENSOR,
            f"{len(tensor)} elements, but shape {list(shape)} has {prod(shape)}",
            name,
        )
    return name, tensor if isinstance(tensor, list) else tensor.reshape(shape)


def _shape(value: Any, name: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise wrong_type(f"{name}.shape", value, "a list of integers")
    sizes = all(isinstance(size, int) and not isinstance(size, bool) for size in value)
    fits = len(value) in _RANKS[name] and sizes and min(value) >= 0
    if not fits or (name == "text" and value[1:] not in ([], [1])):
        raise RequestError(
            Reason.INVALID_TENSOR, f"shape {str(value)[:64]}; expected {SHAPES[name]}", name
        )
    return tuple(value)


def _size(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RequestError(
            Reason.INVALID_TENSOR, f"binary_data_size {str(value)[:64]}; it is a byte count", name
        )
    return value


def _flat(data: Any, rank: int, name: str) -> list[Any]:
    """JSON's data in row-major order; the protocol allows it nested as the shape is, or flat."""
    if not isinstance(data, list):
        raise wrong_type(f"{name}.data", data, "a list")
    values: list[Any] = data
    for _ in range(rank - 1):
        if values and all(isinstance(row, list) for row in values):
            values = [value for row in values for value in row]
    return values


def _integers(values: list[Any], name: str) -> NDArray[np.int64]:
    for index, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(f"{name}.data[{index}]", value, "an integer")
    try:
        return np.array(values, np.int64)
    except OverflowError:
        raise RequestError(Reason.OUT_OF_RANGE, "an element beyond INT64", name) from None
