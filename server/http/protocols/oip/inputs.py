"""The request tensors of the Open Inference Protocol: texts, or token ids with their lengths."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....core.requests import Inputs
from ....errors import Reason, RequestError
from ...body import (
    NamedInputs,
    check_count,
    check_known,
    check_object,
    check_texts,
    shown,
    wrong_type,
)
from ..token_ids import as_integers, check_ids
from .binary import Sections, integers, strings

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
        name, tensor = _tensor(item, f"inputs[{index}]", sections, limit)
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
    return NamedInputs([], single=False, tokens=_rows(ids, lengths, vocabulary), name="input_ids")


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


def _tensor(item: Any, field: str, sections: Sections, limit: int) -> tuple[str, Tensor]:
    if not isinstance(item, dict):
        raise wrong_type(field, item, "a tensor")
    check_known(item, _FIELDS, within=f"{field}.")
    name = item.get("name")
    if not isinstance(name, str) or name not in DATATYPES:
        raise RequestError(
            Reason.UNKNOWN_FIELD,
            f"{shown(name)} is none of {', '.join(DATATYPES)}",
            f"{field}.name",
        )
    datatype = item.get("datatype")
    if datatype != DATATYPES[name]:
        raise RequestError(
            Reason.WRONG_TYPE, f"datatype {shown(datatype)}; it is {DATATYPES[name]}", name
        )
    shape = _shape(item.get("shape"), name)
    check_count(shape[0], limit, name)
    parameters = check_object(item, "parameters", ("binary_data_size", "content_type"), f"{name}.")
    if (size := parameters.get("binary_data_size")) is not None:
        raw = sections.take(_size(size, name), name)
        tensor: Tensor = strings(raw, shape[0], name) if name == "text" else integers(raw, name)
    else:
        values = _flat(item.get("data"), shape, name)
        tensor = values if name == "text" else as_integers(values, f"{name}.data")
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
    if len(value) not in _RANKS[name]:
        raise RequestError(
            Reason.INVALID_TENSOR, f"{len(value)} dimensions; expected shape {SHAPES[name]}", name
        )
    for index, size in enumerate(value):
        if isinstance(size, bool) or not isinstance(size, int):
            raise wrong_type(f"{name}.shape[{index}]", size, "an integer")
    if min(value) < 0 or (name == "text" and value[1:] not in ([], [1])):
        raise RequestError(Reason.INVALID_TENSOR, f"shape {value}; expected {SHAPES[name]}", name)
    return tuple(value)


def _size(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RequestError(
            Reason.INVALID_TENSOR, f"binary_data_size {shown(value)}; it is a byte count", name
        )
    return value


def _flat(data: Any, shape: tuple[int, ...], name: str) -> list[Any]:
    """JSON's data in row-major order; the protocol allows it nested as the shape is, or flat."""
    if not isinstance(data, list):
        raise wrong_type(f"{name}.data", data, "a list")
    if len(shape) == 1 or not data or not all(isinstance(row, list) for row in data):
        return data
    if [len(row) for row in data] != [shape[1]] * shape[0]:
        raise RequestError(
            Reason.INVALID_TENSOR, f"data is nested otherwise than shape {list(shape)}", name
        )
    return [value for row in data for value in row]
