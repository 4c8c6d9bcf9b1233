"""The checkpoint: one directory, safetensors only, every file hashed, written whole or not at all.

    config.json        architecture, named students, provenance; the other files' sha256 and its own
    model.safetensors  the TA's weights, once
    tokenizer.json
    training-texts.json  a sample of the training texts, as fingerprints of 64 bits
    calibration.json   temperatures and cascades (optional; written by `nestling calibrate`)
    report.json        what `nestling evaluate --keep` measured (optional)

Each other precision has its own calibration and report beside these: `calibration.bfloat16.json`,
`calibration.float16.json`, and `calibration.onnx-int8.json`, which is called by its runner.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ...kernels.operations import Operations, operations_for
from ..device import CPU, use
from ..errors import CheckpointError
from ..nested.architecture import Architecture
from ..nested.trunk import NestedTransformer
from .finite import check_logits, in_dtype
from .manifest import CONFIG, WEIGHTS, Manifest, read_manifest


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
    """Load and verify a checkpoint directory.

    device: as `device.use` takes it, which makes it the one that this process computes on.
    operations: in place of those for the device. Its calibration is that of float32;
    `calibrated_for` reads those of other precisions.
    Raises CheckpointError that names the file which is missing, altered, unsafe or of another
    version, the weight that is not finite, or the student whose answers are not. NestlingError for
    a device that is not here.
    """
    device = use(device)
    manifest = read_manifest(path)
    operations = operations or operations_for(torch.device(device))
    model = _load_model(manifest.path / WEIGHTS, manifest.architecture, dtype, device, operations)
    check_logits(manifest, model, dtype)
    parts = {field.name: getattr(manifest, field.name) for field in fields(manifest)}
    return Checkpoint(**parts, model=model)


def _load_model(
    path: Path,
    architecture: Architecture,
    dtype: torch.dtype,
    device: str,
    operations: Operations,
) -> NestedTransformer:
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(path, f"not safetensors ({error})") from error
    with torch.device("meta"):
        model = NestedTransformer(architecture, operations)
    expected = {name: tuple(p.shape) for name, p in model.state_dict().items()}
    for name, shape in expected.items():
        if name not in weights:
            raise CheckpointError(path, f"{name}: missing")
        if tuple(weights[name].shape) != shape:
            raise CheckpointError(
                path,
                f"{name}: shape {list(weights[name].shape)}, but {CONFIG} "
                f"({len(architecture.labels)} labels) asks for {list(shape)}",
            )
    if unknown := sorted(weights.keys() - expected.keys()):
        raise CheckpointError(path, f"{unknown[0]}: no such weight in this architecture")
    state = {name: in_dtype(weights[name], dtype, device, path, name) for name in expected}
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()
