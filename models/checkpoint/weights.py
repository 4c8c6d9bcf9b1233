"""The TA's weights in NumPy, read and checked without torch.

The file is mapped into memory: what it holds in float32 is one copy for all processes that read it.
What it holds in other numbers is converted, to a copy of the process's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from ..nested.architecture import Architecture
from ..nested.shapes import weight_shapes
from .finite import check_dtype, not_finite, too_large
from .manifest import CONFIG, WEIGHTS, Manifest
from .remembered import fact_of
from .schema import stored_names

Weights = Mapping[str, NDArray[np.float32]]
"""By the names in a checkpoint; each of the shape that `weight_shapes` says. Not to be written."""
HEADER = Struct("<Q")
"""How a safetensors file begins: with the length of the JSON that describes what follows it."""


def read_weights(manifest: Manifest) -> Weights:
    """All weights of a checkpoint, in float32.

    Raises CheckpointError that names the file, and the weight that is missing, unknown, of another
    shape or dtype, not finite, or too large for float32.
    """
    file = manifest.path / WEIGHTS
    with fact_of(file, "finite in float32") as fact:  # of the file as it is before it is opened
        known = fact.value is not None
        stored, start = _header(file)
        shapes = {name: tuple(tensor["shape"]) for name, tensor in stored.items()}
        names = check_shapes(shapes, manifest.architecture, file)
        mapped = np.memmap(file, np.uint8, "r", offset=start) if stored else np.empty(0, np.uint8)
        weights = {
            name: _weight(file, there, stored[there], mapped, known)
            for name, there in names.items()
        }
        fact.value = "yes"
    return weights


def check_shapes(
    found: Mapping[str, tuple[int, ...]], architecture: Architecture, file: Path
) -> dict[str, str]:
    """What the file calls each weight of the architecture, by its name there.

    Raises CheckpointError unless it has every weight, and no other.
    """
    shapes = weight_shapes(architecture)
    names = stored_names(shapes, architecture.heads, found)
    expected = {names[name]: shape for name, shape in shapes.items()}
    for name, shape in expected.items():
        if name not in found:
            raise CheckpointError(file, f"{name}: missing")
        if found[name] != shape:
            raise CheckpointError(
                file,
                f"{name}: shape {list(found[name])}, but {CONFIG} "
                f"({len(architecture.head().labels)} labels) asks for {list(shape)}",
            )
    if unknown := sorted(found.keys() - expected.keys()):
        raise CheckpointError(file, f"{unknown[0]}: no such weight in this architecture")
    return names


def _header(file: Path) -> tuple[dict[str, Any], int]:
    """What a file says of its tensors, and where the first of them begins."""
    try:
        with safe_open(file, "np"):  # which refuses a file whose header does not fit its length
            pass
    except SafetensorError as error:
        raise CheckpointError(file, f"not safetensors ({error})") from error
    with file.open("rb") as opened:
        (length,) = HEADER.unpack(opened.read(HEADER.size))
        header = json.loads(opened.read(length))
    header.pop("__metadata__", None)
    return header, HEADER.size + length


def _weight(
    file: Path, name: str, tensor: Mapping[str, Any], mapped: NDArray[np.uint8], known: bool
) -> NDArray[np.float32]:
    """known: whether all was finite when it was read before."""
    dtype = _KINDS.get(tensor["dtype"], tensor["dtype"].lower())
    check_dtype(dtype, file, name)
    stored = mapped[slice(*tensor["data_offsets"])].view(_STORED[dtype]).reshape(tensor["shape"])
    if dtype == "bfloat16":
        stored = _from_bfloat16(stored)
    elif dtype != "float32":
        with np.errstate(over="ignore"):  # which is looked for below
            converted = stored.astype(np.float32)
        if not known and is_finite(stored) and not is_finite(converted):
            raise too_large(file, name, float(np.abs(stored).max()), "float32")
        stored = converted
    weight: NDArray[np.float32] = stored
    if not known and not is_finite(weight):
        wrong = weight[~np.isfinite(weight)]
        raise not_finite(file, name, float(wrong[0]), len(wrong), weight.size)
    return weight


_KINDS = {
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "BOOL": "bool",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8", "C64": "complex64",
}  # fmt: skip
"""What safetensors calls a dtype, and what everybody else does."""
_STORED: dict[str, Any] = {
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
}


def _from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Which has the leading half of a float32's bits, and NumPy does not know."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def is_finite(weight: NDArray[np.floating[Any]]) -> bool:
    """Whether all numbers are."""
    # One NaN or infinity is in the sum, which takes a fraction of the time of looking at each.
    with np.errstate(over="ignore", invalid="ignore"):
        total = weight.sum(dtype=np.promote_types(weight.dtype, np.float32))
    return bool(np.isfinite(total)) or bool(np.isfinite(weight).all())
