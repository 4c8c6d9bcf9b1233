"""Devices by their names, on a machine that has two GPUs as far as torch says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from nestling.models import NestlingError, device, load_checkpoint


@pytest.fixture
def made_current(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices that are made current, in order."""
    seen: list[str] = []
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", seen.append)
    return seen


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1")],
)
def test_the_one_that_is_wanted_is_made_current(
    made_current: list[str], wanted: str, name: str
) -> None:
    assert device.use(wanted) == name
    assert made_current == [name]


def test_the_cpu_is_no_device_to_make_current(made_current: list[str]) -> None:
    assert device.use("cpu") == "cpu"
    assert made_current == []


@pytest.mark.parametrize("wanted", ["cuda:2", "cuda:-1", "cuda:", "gpu", "", "cuda:01", "meta"])
def test_one_that_is_not_here_hears_of_those_that_are(made_current: list[str], wanted: str) -> None:
    message = re.escape(f"device: {wanted!r} is not here; available are cpu, cuda:0, cuda:1")
    with pytest.raises(NestlingError, match=message):
        device.use(wanted)
    assert made_current == []


def test_without_a_gpu_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "has_gpu", lambda: True)  # whose torch is one for CPUs
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert device.use("auto") == "cpu"
    with pytest.raises(NestlingError, match=r"'cuda' is not here; available are cpu$"):
        device.use("cuda")


def test_without_a_driver_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "DRIVER", "libmoon.so.1")

    def ask() -> int:
        raise AssertionError("torch was asked")

    monkeypatch.setattr(torch.cuda, "device_count", ask)
    assert device.use("auto") == device.use("cpu") == "cpu"


def test_without_torch_a_gpu_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    monkeypatch.setattr(device, "find_spec", lambda _: None)
    assert device.use("auto") == "cpu"
    with pytest.raises(
        NestlingError, match=r"device: torch: not installed; cuda:0 needs the extra"
    ):
        device.use("cuda:0")
    with pytest.raises(NestlingError, match=r"device: 'moon' is not here; available are cpu$"):
        device.use("moon")


def test_a_checkpoint_is_loaded_onto_the_current_device(
    made_current: list[str], checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton launches on the current device, whatever device its tensors lie on."""

    class LoadingError(Exception):
        """As far as it goes without a GPU."""

    def load(*arguments: object) -> None:
        raise LoadingError(arguments[2])

    monkeypatch.setattr("nestling.models.checkpoint.load._load_model", load)
    monkeypatch.setattr("nestling.models.checkpoint.load.operations_for", lambda _: None)
    with pytest.raises(LoadingError, match="cuda:1"):
        load_checkpoint(checkpoint_dir, device="cuda:1")
    assert made_current == ["cuda:1"]


def test_a_device_is_asked_whether_it_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", asked.append)
    device.check("cpu")
    device.check("cuda:1")
    assert asked == ["cuda:1"]
