"""Which runner `auto` stands for: the fastest whose guarantee holds, by rule and not by a race.

It follows from what is installed, the device and the checkpoint, so that the same checkpoint is
served alike by all machines of a kind.
"""

from __future__ import annotations

from importlib.util import find_spec

from ..checkpoint.manifest import CALIBRATION, Manifest, calibrated_for
from ..device import CPU, has_gpu
from ..errors import NestlingError, missing_extra
from ..precision import INT8, TORCH, file_of

ONNX = "onnx"


def by_rule(manifest: Manifest, device: str, dtype: str) -> tuple[str, str]:
    """A runner's name, and why it is that one.

    device: as `device.use` names it. dtype: that the user wants, or `auto`.
    Raises NestlingError where nothing is installed that computes; CheckpointError if the
    calibration for int8 is damaged.
    """
    if dtype in ("bfloat16", "float16"):
        return TORCH, f"{device}; {dtype} is asked for"
    if device != CPU:
        return TORCH, device
    beside = "; the GPU is for the extra `gpu`" if not find_spec("torch") and has_gpu() else ""
    if find_spec("onnxruntime"):
        why_not = "float32 is asked for" if dtype == "float32" else _against_int8(manifest)
        if why_not:
            return ONNX, f"{CPU}; {why_not}{beside}"
        file = file_of(CALIBRATION, "int8")
        return INT8, f"{CPU}; {file} promises to keep the answers of float32{beside}"
    if find_spec("torch"):
        return TORCH, f"{CPU}; onnxruntime is not installed"
    raise NestlingError(f"runner: {missing_extra('onnxruntime, torch', 'a server', 'cpu')}")


def _against_int8(manifest: Manifest) -> str | None:
    """Why int8 cannot stand for float32; None if it can.

    Every cascade that float32 serves has to be there, under a promise about the answers of the TA
    in float32.
    """
    file = file_of(CALIBRATION, "int8")
    rounded = calibrated_for(manifest, "int8").cascades
    if not rounded:
        return f"there is no {file}"
    if missing := manifest.cascades.keys() - rounded.keys():
        return f"{file} lacks {', '.join(sorted(missing))}"
    for name, cascade in rounded.items():
        if cascade.guarantee is None or cascade.guarantee.reference != "float32":
            return f"{file} promises nothing about the answers of float32 for {name}"
    return None
