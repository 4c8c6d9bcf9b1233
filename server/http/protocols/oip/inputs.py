"""The request tensors of the Open Inference Protocol: texts, or token ids with their lengths."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....core.requests import Inputs
from ....errors import Reason, RequestError
from ...body import check_count, check_texts
from ..token_ids import as_integers, check_ids
from .binary import Sections, integers, strings
from .request import DATATYPES, Tensor

SHAPES = {"text": "[n] or [n, 1], of pairs [n, 2]", "input_ids": "[n, longest]", "lengths": "[n]"}
_RANKS = {"text": (1, 2), "input_ids": (2,), "lengths": (1,)}

Elements = list[str] | list[tuple[str, str]] | NDArray[np.int64]


def read_inputs(items: Sequence[Tensor], sections: Sections, limit: int, vocabulary: int) -> Inputs:
    """The tensors as inputs of the service.

    limit: texts of one request. Raises RequestError for what is missing, twice there, misshapen, or
    beyond the vocabulary.
    """
    tensors: dict[str, Elements] = {}
    for item in items:
        elements = _elements(item, sections, limit)
        if item.name in tensors:
            raise RequestError(Reason.INVALID_TENSOR, "given twice", item.name)
        tensors[item.name] = elements
    sections.finish()
    text, ids, lengths = (tensors.get(name) for name in DATATYPES)
    if isinstance(text, list):
        if ids is not None or lengths is not None:
            raise RequestError(
                Reason.INVALID_TENSOR, "either `text`, or `input_ids` and `lengths`", "inputs"
            )
        return check_texts(Inputs(text, single=False, name="text"), limit)
    if not isinstance(ids, np.ndarray):
        raise RequestError(
            Reason.MISSING_FIELD, "neither `text` nor `input_ids` is there", "inputs"
        )
    if not isinstance(lengths, np.ndarray):
        raise RequestError(
            Reason.MISSING_FIELD, "missing; it says how many ids of each row count", "lengths"
        )
    return Inputs([], single=False, tokens=_rows(ids, lengths, vocabulary), name="input_ids")


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


def _elements(item: Tensor, sections: Sections, limit: int) -> Elements:
    name, shape = item.name, _shape(item)
    check_count(shape[0], limit, name)
    size = item.parameters.binary_data_size if item.parameters else None
    if size is not None:
        raw = sections.take(size, name)
        found = strings(raw, prod(shape), name) if name == "text" else integers(raw, name)
    else:
        flat = _flat(item.data, shape, name)
        found = flat if name == "text" else as_integers(flat, f"{name}.data")
    if len(found) != prod(shape):
        raise RequestError(
            Reason.INVALID_TENSOR,
            f"{len(found)} elements, but shape {shape} has {prod(shape)}",
            name,
        )
    if not isinstance(found, list):
        return found.reshape(shape)
    return list(zip(found[::2], found[1::2], strict=True)) if shape[1:] == [2] else found


def _shape(item: Tensor) -> list[int]:
    name, shape = item.name, item.shape
    if len(shape) not in _RANKS[name]:
        raise RequestError(
            Reason.INVALID_TENSOR, f"{len(shape)} dimensions; expected shape {SHAPES[name]}", name
        )
    if min(shape) < 0 or (name == "text" and shape[1:] not in ([], [1], [2])):
        raise RequestError(Reason.INVALID_TENSOR, f"shape {shape}; expected {SHAPES[name]}", name)
    return shape


def _flat(data: list[Any] | None, shape: Sequence[int], name: str) -> list[Any]:
    """JSON's data in row-major order; the protocol allows it nested as the shape is, or flat."""
    if data is None:
        raise RequestError(Reason.WRONG_TYPE, "expected a list, got null", f"{name}.data")
    if not data or not isinstance(data[0], list):
        return data
    if (
        len(shape) == 1
        or [len(row) for row in data] != [shape[1]] * len(data)
        or len(data) != shape[0]
    ):
        raise RequestError(
            Reason.INVALID_TENSOR, f"data is nested otherwise than shape {shape}", name
        )
    return [value for row in data for value in row]
