"""The weights without torch: what they are, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nestling.models import CheckpointError, load_checkpoint
from nestling.models.checkpoint.manifest import read_manifest
from nestling.models.checkpoint.weights import read_weights
from nestling.models.nested.shapes import weight_shapes

from ...conftest import put_weights, tiny_architecture, tiny_model


def test_every_weight_of_the_model_is_known_by_name_and_shape() -> None:
    state = tiny_model().state_dict()
    assert weight_shapes(tiny_architecture()) == {n: tuple(w.shape) for n, w in state.items()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_they_are_those_of_torch(checkpoint_dir: Path, dtype: torch.dtype) -> None:
    state = {name: w.to(dtype) for name, w in tiny_model().state_dict().items()}
    put_weights(checkpoint_dir, state)
    found = read_weights(read_manifest(checkpoint_dir))
    expected = load_checkpoint(checkpoint_dir).model.state_dict()
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        assert weight.dtype == np.float32
        assert np.array_equal(weight, expected[name].numpy())


def test_what_is_in_float32_is_mapped_and_not_copied(checkpoint_dir: Path) -> None:
    put_weights(checkpoint_dir, {n: w.float() for n, w in tiny_model().state_dict().items()})
    for weight in read_weights(read_manifest(checkpoint_dir)).values():
        base: object = weight
        while not isinstance(base, np.memmap):
            base = base.base  # type: ignore[attr-defined]
        assert not weight.flags.writeable


def without(file: Path) -> None:
    weights = load_file(file)
    del weights["segment"]
    save_file(weights, file)


def beyond(file: Path) -> None:
    save_file(load_file(file) | {"layers.9.up.bias": torch.zeros(3)}, file)


def narrow(file: Path) -> None:
    save_file(load_file(file) | {"segment": torch.zeros(3)}, file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without, r"model\.safetensors: segment: missing$"),
        (beyond, r"layers\.9\.up\.bias: no such weight in this architecture$"),
        (narrow, r"segment: shape \[3\], but config\.json \(.* labels\) asks for \[32\]$"),
        (lambda file: file.write_bytes(b""), r"model\.safetensors: not safetensors \("),
        (lambda file: file.write_bytes(b"\xff" * 64), r"model\.safetensors: not safetensors \("),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), r"not safetensors \("),
    ],
)
def test_what_cannot_be_is_refused_alike(checkpoint_dir: Path, change: object, said: str) -> None:
    manifest = read_manifest(checkpoint_dir)
    change(checkpoint_dir / "model.safetensors")  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=said):
        read_weights(manifest)
