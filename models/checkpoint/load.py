"""The checkpoint: one directory, safetensors only, every file hashed, written whole or not at all.

    config.json        architecture, named students, provenance; the other files' sha256 and its own
    model.safetensors  the TA's weights, once
    tokenizer.json
    training-texts.json  a sample of the training texts, as fingerprints of 64 bits
    held-out.safetensors  what the students answer on texts kept from training (optional)
    searches.json      what `nestling search` measured, and of which texts (optional)
    calibration.json   temperatures and cascades (optional; written by `nestling calibrate`)
    report.json        what `nestling evaluate --keep` measured (optional)

Each other precision has its own calibration and report beside these: `calibration.bfloat16.json`,
`calibration.float16.json`, and `calibration.onnx-int8.json`, which is called by its runner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...kernels.operations import Operations, operations_for
from ..device import CPU, use
from ..errors import CheckpointError
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from .finite import check_dtype, check_logits, not_finite, too_large
from .manifest import WEIGHTS, Manifest, read_manifest
from .remembered import fact_of
from .weights import check_shapes


@dataclass(frozen=True)
class Checkpoint(Manifest):
    """A loaded checkpoint: its manifest, and the one model that all students share."""

    model: NestedTransformer


def load_checkpoint(
    path: str | Path,
    dtype: torch.dtype = torch.float32,
    device: str = CPU,
    operations: Operations | None = None,
) -> Checkpoint:
    """Load and verify a checkpoint directory into torch.

    device: as `device.use` takes it, which makes it the one that this process computes on.
    operations: in place of those for the device. Its calibration is that of float32;
    `calibrated_for` reads those of other precisions.
    Raises CheckpointError that names the file which is missing, altered, unsafe or of another
    version, the weight that is not finite, or the student whose answers are not. NestlingError for
    a device that is not here.
    """
    return load_weights(read_manifest(path), dtype, device, operations)


def load_weights(
    manifest: Manifest,
    dtype: torch.dtype = torch.float32,
    device: str = CPU,
    operations: Operations | None = None,
) -> Checkpoint:
    """The same for a directory whose manifest has been read and verified."""
    device = use(device)
    operations = operations or operations_for(torch.device(device))
    model = _load_model(manifest, dtype, device, operations)

    @torch.inference_mode()
    def ask(texts: Sequence[Sequence[int]], student: StudentSpec) -> NDArray[np.floating[Any]]:
        logits: NDArray[np.float64] = model(PackedBatch.of(texts, student)).cpu().double().numpy()
        return logits

    check_logits(manifest, ask, _name(dtype))
    parts = {field.name: getattr(manifest, field.name) for field in fields(Manifest)}
    return Checkpoint(**parts, model=model)


def _load_model(
    manifest: Manifest, dtype: torch.dtype, device: str, operations: Operations
) -> NestedTransformer:
    file = manifest.path / WEIGHTS
    with torch.device("meta"):
        model = NestedTransformer(manifest.architecture, operations)
    with fact_of(file, f"finite in {_name(dtype)}") as fact:  # of the file before it is opened
        known = fact.value is not None
        try:
            weights = load_file(file)
        except SafetensorError as error:
            raise CheckpointError(file, f"not safetensors ({error})") from error
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        names = check_shapes(shapes, manifest.architecture, file)
        state = {
            name: _in_dtype(weights[there], dtype, device, file, there, known)
            for name, there in names.items()
        }
        fact.value = "yes"
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()


def _in_dtype(
    weight: Tensor, dtype: torch.dtype, device: str, file: Path, name: str, known: bool
) -> Tensor:
    """A weight as it is computed with. known: whether it was finite when it was read before."""
    check_dtype(_name(weight.dtype), file, name)
    ready = weight.to(device, dtype)
    if known or _is_finite(ready):
        return ready
    if not _is_finite(weight):
        wrong = weight[~weight.isfinite()]
        raise not_finite(file, name, wrong[0].item(), len(wrong), weight.numel())
    raise too_large(file, name, weight.abs().max().item(), _name(dtype))


def _is_finite(weight: Tensor) -> bool:
    """Whether all numbers are."""
    # One NaN or infinity is in the sum, which takes a tenth of the time of looking at each number.
    total = weight.sum(dtype=torch.float64 if weight.dtype == torch.float64 else torch.float32)
    return bool(total.isfinite()) or bool(weight.isfinite().all())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
