"""A precision: the numbers in which students compute, and so whose logits are calibrated.

Students answer with other logits in each precision. Thresholds set on the logits of one promise
nothing in another, so each has a calibration and a report of its own in the checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast, get_args

from ..kernels.gate.codes import MARGIN_IN
from .errors import NestlingError

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
TORCH: Final = "torch"
INT8: Final = "onnx-int8"
"""The runner of every precision but int8, and that of int8, whose files are called by it."""
WEIGHT_LEVELS: Final = 64
"""The largest weight in int8. Two products with the largest input, 2 · 255 · 64, stay within the 16
bits in which processors without VNNI add them; with 127 they do not."""
_WORDS: dict[Precision, str] = {
    "float32": "",
    "bfloat16": ".bfloat16",
    "float16": ".float16",
    "int8": f".{INT8}",
}


def file_of(name: str, precision: Precision) -> str:
    """What a file of a checkpoint is called that each precision has for itself.

    name: such as `calibration.json`, which is that of float32.
    """
    return name.replace(".json", f"{_WORDS[precision]}.json")


def logits_in(precision: Precision) -> torch.dtype:
    """The dtype of the logits: int8 rounds inside, and gives float32."""
    import torch  # the server's own process knows precisions, and never loads torch

    found: torch.dtype = getattr(torch, "float32" if precision == "int8" else precision)
    return found


def evidence_in(precision: Precision) -> torch.dtype:
    """The dtype of the logits by which it is calibrated.

    float32 is calibrated in float64, so that it gives the same on every machine; the gate's margin
    is wider than what rounding to float32 moves. The others are what they are by their rounding.
    """
    import torch

    return torch.float64 if precision == "float32" else logits_in(precision)


def margin_of(precision: Precision) -> float:
    """What the gate asks above a threshold: rounding noise of a score."""
    return MARGIN_IN["float32" if precision == "int8" else precision]


def name_of(dtype: torch.dtype) -> Precision:
    """The precision in which a model of this floating dtype computes."""
    return cast(Precision, str(dtype).removeprefix("torch."))


def pinned(runner: str, served: Precision) -> Precision:
    """In which a runner computes that an experiment pins, on a server that computes in `served`.

    The ONNX runners have one precision each; torch takes the server's if it can.
    """
    if runner == INT8:
        return "int8"
    return served if runner == TORCH and served != "int8" else "float32"


def chosen(runner: str | None, precision: str | None) -> Precision:
    """Whose logits are meant by the options --runner and --precision; None where one is not given.

    Raises NestlingError that names the option for an unknown name, and for a runner that does not
    compute in the precision.
    """
    if precision is not None and precision not in PRECISIONS:
        raise NestlingError(f"precision: {precision!r} is none of {', '.join(PRECISIONS)}")
    if runner not in (None, TORCH, INT8):
        raise NestlingError(f"runner: {runner!r} is none of {TORCH}, {INT8}")
    if precision is None:
        return "int8" if runner == INT8 else "float32"
    if runner is not None and (runner == INT8) != (precision == "int8"):
        known = "int8" if runner == INT8 else "float32, bfloat16 or float16"
        raise NestlingError(
            f"precision: {precision} does not go with the runner {runner}; that computes in {known}"
        )
    return precision
