"""Which runner `auto` stands for: the fastest whose guarantee holds, by rule and not by a race.

It follows from what is installed, the device and the checkpoint, so that the same checkpoint is
served alike by all machines of a kind.
"""

from __future__ import annotations

from importlib.util import find_spec

from ..cascade.policy import Cascade
from ..cascade.scope import ScopePromise
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
    torch, onnx, onnxruntime = map(find_spec, ("torch", "onnx", "onnxruntime"))
    beside = "; the GPU is for the extra `gpu`" if not torch and has_gpu() else ""
    if onnxruntime and (onnx or not torch):  # graphs that were made before do without `onnx`
        why_not = "float32 is asked for" if dtype == "float32" else against_int8(manifest)
        if why_not:
            return ONNX, f"{CPU}; {why_not}{beside}"
        file = file_of(CALIBRATION, "int8")
        return INT8, f"{CPU}; {file} promises to keep the answers of float32{beside}"
    if torch:
        return TORCH, f"{CPU}; {'onnx' if onnxruntime else 'onnxruntime'} is not installed"
    raise NestlingError(f"runner: {missing_extra('onnxruntime, torch', 'a server', 'cpu')}")


def against_int8(manifest: Manifest) -> str | None:
    """Why int8 cannot stand for float32; None if it can.

    Every cascade that float32 serves has to be there, `auto` be answered by the same one, and each
    promise at least as much, about the answers of the TA in float32. Raises CheckpointError if the
    calibration for int8 is damaged.
    """
    file = file_of(CALIBRATION, "int8")
    rounded = calibrated_for(manifest, "int8")
    if not rounded.cascades:
        return f"there is no {file}"
    if missing := manifest.cascades.keys() - rounded.cascades.keys():
        return f"{file} lacks {', '.join(sorted(missing))}"
    if manifest.default != rounded.default:
        return f"{file} has {rounded.default} answer auto, in place of {manifest.default}"
    for name, cascade in rounded.cascades.items():
        if cascade.guarantee is None or cascade.guarantee.reference != "float32":
            return f"{file} promises nothing about the answers of float32 for {name}"
        if name in manifest.cascades and (less := _falls_short(cascade, manifest.cascades[name])):
            return f"{file} promises {less} for {name} than {CALIBRATION}"
    return None


def _falls_short(cascade: Cascade, served: Cascade) -> str | None:
    """In what a cascade promises less than, or something else than, the one that float32 serves."""
    if cascade.abstains != served.abstains:
        return "another abstention"
    if served.scope and not (cascade.scope and _keeps(cascade.scope, served.scope)):
        return "less of what is in scope"
    own, other = cascade.guarantee, served.guarantee
    if other is None or own is None:
        return None
    if own.loss != other.loss:
        return f"another loss, {own.loss} and not {other.loss},"
    groups = {group.name for group in other.groups} - {group.name for group in own.groups}
    if own.by != other.by or groups:
        return "the risk to other groups"
    if own.alpha > other.alpha:
        return f"a larger risk, {own.alpha:g} and not {other.alpha:g},"
    if own.confidence < other.confidence:
        return f"a lower confidence, {own.confidence:g} and not {other.confidence:g},"
    return None


def _keeps(scope: ScopePromise, served: ScopePromise) -> bool:
    return scope.kept >= served.kept and scope.confidence >= served.confidence
