"""Which runner is the default: by the device, by what is installed and by the checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nestling.models import Cascade, Checkpoint, NestlingError, Stage
from nestling.models.cascade.policy import Guarantee
from nestling.models.checkpoint.manifest import read_manifest
from nestling.models.checkpoint.save import write_calibration
from nestling.models.precision import Precision
from nestling.models.runners import choose, rule
from nestling.models.runners.choose import RunnerOptions
from nestling.models.runners.rule import by_rule

PROMISE = Guarantee("LTT", "drop", 0.01, 0.95, 500, 300, 0.005, "d" * 64, "e" * 64)
SHIPPED = Path(__file__).parents[3] / "models/zoo/clinc150"
Installed = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Have these packages alone be installed, and a GPU be there or not."""

    def install(*packages: str, gpu: bool = False) -> None:
        monkeypatch.setattr(rule, "find_spec", lambda name: name if name in packages else None)
        monkeypatch.setattr(rule, "has_gpu", lambda: gpu)

    return install


def calibrate(
    checkpoint: Checkpoint,
    precision: Precision,
    names: tuple[str, ...] = ("c",),
    reference: Precision | None = "float32",
    default: str | None = None,
    scope: float = 0.0,
    **promised: Any,
) -> None:
    """promised: fields of the guarantee. default: the first of the names."""
    stages = (Stage(checkpoint.students["tiny"], 0.9), Stage(checkpoint.ta, 0.0, scope=scope))
    promise = replace(PROMISE, reference=reference, **promised)
    cascades = {name: Cascade(name, stages, promise) for name in names}
    write_calibration(checkpoint, {}, cascades, default or names[0], precision)


def ruled(path: Path, device: str = "cpu", dtype: str = "auto") -> tuple[str, str]:
    return by_rule(read_manifest(path), device, dtype)


def test_on_a_gpu_it_is_torch(checkpoint: Checkpoint, installed: Installed) -> None:
    installed("torch", "onnx", "onnxruntime", gpu=True)
    calibrate(checkpoint, "int8")
    assert ruled(checkpoint.path, "cuda:1") == ("torch", "cuda:1")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_dtype_that_only_torch_computes_in(
    checkpoint: Checkpoint, installed: Installed, dtype: str
) -> None:
    installed("torch", "onnx", "onnxruntime")
    assert ruled(checkpoint.path, dtype=dtype) == ("torch", f"cpu; {dtype} is asked for")


def test_int8_where_it_promises_to_keep_the_answers_of_float32(
    checkpoint: Checkpoint, installed: Installed
) -> None:
    installed("torch", "onnx", "onnxruntime")
    path = checkpoint.path
    assert ruled(path) == ("onnx", "cpu; there is no calibration.onnx-int8.json")
    calibrate(checkpoint, "float32", ("c", "d"))
    calibrate(checkpoint, "int8")
    assert ruled(path) == ("onnx", "cpu; calibration.onnx-int8.json lacks d")
    for other in (None, "int8"):
        calibrate(checkpoint, "int8", ("c", "d"), other)
        name, why = ruled(path)
        assert name == "onnx"
        assert why.endswith("json promises nothing about the answers of float32 for c")
    calibrate(checkpoint, "int8", ("c", "d"))
    said = "cpu; calibration.onnx-int8.json promises to keep the answers of float32"
    assert ruled(path) == ("onnx-int8", said)
    assert ruled(path, dtype="float32") == ("onnx", "cpu; float32 is asked for")


@pytest.mark.parametrize(
    ("promised", "why"),
    [
        ({"alpha": 0.02}, "promises a larger risk, 0.02 and not 0.01, for c than"),
        ({"confidence": 0.9}, "promises a lower confidence, 0.9 and not 0.95, for c than"),
        ({"loss": "net"}, "promises another loss, net and not drop, for c than"),
        ({"by": "lang"}, "promises the risk to other groups for c than calibration.json"),
        ({"scope": 0.5}, "promises another abstention for c than calibration.json"),
        ({"default": "d"}, "has d answer auto, in place of c"),
    ],
)
def test_not_int8_where_it_promises_less(
    checkpoint: Checkpoint, installed: Installed, promised: dict[str, Any], why: str
) -> None:
    installed("torch", "onnx", "onnxruntime")
    calibrate(checkpoint, "float32", ("c", "d"), alpha=0.01)
    calibrate(checkpoint, "int8", ("c", "d"), **promised)
    name, said = ruled(checkpoint.path)
    assert name == "onnx"
    assert said.startswith(f"cpu; calibration.onnx-int8.json {why}")


def test_int8_where_it_promises_more(checkpoint: Checkpoint, installed: Installed) -> None:
    installed("torch", "onnx", "onnxruntime")
    calibrate(checkpoint, "float32")
    calibrate(checkpoint, "int8", alpha=0.001, confidence=0.99)
    assert ruled(checkpoint.path)[0] == "onnx-int8"


def test_the_shipped_checkpoint_is_served_in_int8(installed: Installed) -> None:
    installed("onnx", "onnxruntime")
    assert ruled(SHIPPED)[0] == "onnx-int8"


def test_what_is_not_installed(checkpoint: Checkpoint, installed: Installed) -> None:
    path = checkpoint.path
    installed("torch")
    assert ruled(path) == ("torch", "cpu; onnxruntime is not installed")
    installed("torch", "onnxruntime")
    assert ruled(path) == ("torch", "cpu; onnx is not installed")
    installed("onnxruntime")  # graphs may be there; if not, who makes them says what to install
    assert ruled(path)[0] == "onnx"
    installed("onnx", "onnxruntime", gpu=True)
    name, why = ruled(path)
    assert name == "onnx"
    assert why.endswith("; the GPU is for the extra `gpu`")
    installed()
    with pytest.raises(NestlingError, match=r"^runner: onnxruntime, torch: not inst.*\[cpu\]"):
        ruled(path)


def test_the_rule_is_logged_and_what_is_asked_for_is_not(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    manifest, options = read_manifest(checkpoint.path), RunnerOptions()
    assert choose.choose("auto", manifest, options).name == "onnx"
    assert caplog.messages == ["runner: onnx (cpu; there is no calibration.onnx-int8.json)"]
    caplog.clear()
    assert choose.choose("onnx", manifest, options).name == "onnx"
    assert caplog.messages == []
