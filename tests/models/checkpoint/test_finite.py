"""A checkpoint that holds numbers that cannot be is refused when it is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nestling.capacity.errors import PlanError
from nestling.capacity.profile.library import SHIPPED, names, read
from nestling.models import Checkpoint, CheckpointError, load_checkpoint
from nestling.models.cascade.policy import Cascade, Stage
from nestling.models.checkpoint.integrity import read_hashed_json, sha256_of, write_hashed_json
from nestling.models.checkpoint.manifest import calibrated_for, read_manifest
from nestling.models.checkpoint.save import write_calibration, write_checkpoint
from nestling.models.checkpoint.schema import SCHEMAS
from nestling.models.checkpoint.weights import read_weights
from nestling.models.runners.onnx.runner import OnnxRunner

from ...conftest import put_weights, tiny_architecture, tiny_model, tiny_students, write_tokenizer

Change = Callable[[dict[str, Tensor]], Any]


def put(name: str, value: float) -> Change:
    """Change one number of a weight."""

    def change(state: dict[str, Tensor]) -> None:
        state[name] = state[name].clone()
        state[name].view(-1)[3] = value

    return change


def grow(name: str, factor: float) -> Change:
    return lambda state: state.update({name: state[name] * factor})


def write(folder: Path, change: Change) -> Path:
    """A checkpoint in float32, as somebody writes one whose training went astray."""
    state = dict(tiny_model().state_dict())
    change(state)
    path, tokenizer = folder / "astray", write_tokenizer(folder / "words.json")
    write_checkpoint(
        path,
        tiny_architecture(),
        tiny_students(),
        tiny_model().state_dict(),
        tokenizer,
        {},
        dtype=torch.float32,
    )
    put_weights(path, state)
    return path


def refused(path: Path, dtype: torch.dtype = torch.float32) -> str:
    """What is said by those who load it into torch."""
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path, dtype)
    assert "\n" not in str(error.value)
    return str(error.value)


def refused_by_both(path: Path) -> str:
    """And by those who read it without."""
    with pytest.raises(CheckpointError) as error:
        read_weights(read_manifest(path))
    assert refused(path) == str(error.value)
    return str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["tokens", "layers.2.up.bias", "heads.label.classifier.weight"])
def test_a_weight_that_is_not_finite(tmp_path: Path, name: str, value: float) -> None:
    path = write(tmp_path, put(name, value))
    said = f"{path / 'model.safetensors'}: {name}: {value} and the like in 1 of "
    assert refused_by_both(path).startswith(said)


def test_infinities_that_cancel_out_are_found(tmp_path: Path) -> None:
    def change(state: dict[str, Tensor]) -> None:
        put("tokens", float("inf"))(state)
        state["tokens"].view(-1)[7] = float("-inf")

    assert ": tokens: inf and the like in 2 of 1,120 places" in refused_by_both(
        write(tmp_path, change)
    )


def test_great_weights_are_finite_though_their_sum_is_not(tmp_path: Path) -> None:
    """So the message is not about a weight, but about what comes of all of them."""
    path = write(tmp_path, lambda state: state.update(tokens=torch.full((35, 32), 3e38)))
    message = refused(path)
    assert read_weights(read_manifest(path))["tokens"][0, 0] == np.float32(3e38)
    assert "and the like" not in message
    assert "student 'tiny' answers with numbers that are not finite" in message


def test_finite_weights_whose_answers_are_not(tmp_path: Path) -> None:
    message = refused(write(tmp_path, grow("layers.3.up.weight", 1e38)))
    assert message.endswith(
        "astray/model.safetensors: student 'tiny' answers with numbers that are not finite when it "
        "computes in float32"
    )


def test_a_weight_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    path = write(tmp_path, put("heads.label.classifier.bias", 7e4))
    assert load_checkpoint(path).model.dtype == torch.float32
    assert refused(path, torch.float16).endswith(
        "heads.label.classifier.bias: 70000 is too large for float16"
    )


def test_answers_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    path = write(tmp_path, grow("layers.3.up.weight", 2e4))
    load_checkpoint(path)
    load_checkpoint(path, torch.bfloat16)
    message = refused(path, torch.float16)
    assert message.endswith("computes in float16; bfloat16 and float32 hold greater ones")


def test_the_other_runners_answers_are_looked_at_too(tmp_path: Path) -> None:
    """A graph computes by itself: what it makes of finite weights is not what torch makes."""

    def change(state: dict[str, Tensor]) -> None:
        state["heads.label.classifier.weight"] = torch.full_like(
            state["heads.label.classifier.weight"], 3e38
        )
        state["heads.label.classifier.bias"] = torch.full_like(
            state["heads.label.classifier.bias"], 3e38
        )

    manifest = read_manifest(write(tmp_path, change))
    with pytest.raises(CheckpointError, match="student 'tiny' answers with numbers that are not"):
        OnnxRunner(manifest)


def test_a_weight_that_float32_cannot_hold(tmp_path: Path) -> None:
    def change(state: dict[str, Tensor]) -> None:
        state["heads.label.classifier.bias"] = state["heads.label.classifier.bias"].double()
        put("heads.label.classifier.bias", -1e60)(state)

    path = write(tmp_path, change)
    assert load_checkpoint(path, torch.float64).model.dtype == torch.float64
    assert refused_by_both(path).endswith(
        "heads.label.classifier.bias: 1e+60 is too large for float32"
    )


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.int64, torch.complex64])
def test_weights_that_are_no_such_numbers(checkpoint_dir: Path, dtype: torch.dtype) -> None:
    file = checkpoint_dir / "model.safetensors"
    weights = load_file(file)
    save_file(weights | {"heads.label.pooler.bias": torch.zeros(32, dtype=dtype)}, file)
    edit(checkpoint_dir / "config.json", lambda d: d["files"].update({file.name: sha256_of(file)}))
    kind = str(dtype).removeprefix("torch.")
    numbers = "float16, bfloat16, float32, float64"
    said = f"{file}: heads.label.pooler.bias: dtype {kind} is none of {numbers}"
    assert refused_by_both(checkpoint_dir) == said


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Change a hashed JSON file and hash it anew."""
    data = read_hashed_json(path, SCHEMAS)
    change(data)
    write_hashed_json(path, data)


@pytest.fixture
def calibrated(checkpoint: Checkpoint) -> Path:
    stages = (Stage(checkpoint.students["tiny"], 0.9), Stage(checkpoint.ta, 0.0))
    write_calibration(checkpoint, {"tiny": 1.5}, {"two": Cascade("two", stages)}, "two")
    return checkpoint.path


NAN, INFINITE = float("nan"), float("inf")
RANGE = "is not between 0.01 and 100"
TINY = "cascade 'two': tiny: "


def warm(value: Any) -> Callable[[Any], Any]:
    """Change a student's temperature."""
    return lambda data: data["temperatures"].update(tiny=value)


def staged(**changes: Any) -> Callable[[Any], Any]:
    """Change the first stage of the cascade."""
    return lambda data: stage(data).update(changes)


def stage(data: Any) -> Any:
    return data["cascades"]["two"]["stages"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (warm(NAN), "temperatures.tiny: nan is not finite"),
        (warm(INFINITE), "temperatures.tiny: inf is not finite"),
        (warm(0), f"temperatures.tiny: 0 {RANGE}"),
        (warm(-1.0), f"temperatures.tiny: -1.0 {RANGE}"),
        (warm(1e-30), f"temperatures.tiny: 1e-30 {RANGE}"),
        (warm(10**40), f"temperatures.tiny: 1{'0' * 31} {RANGE}"),
        (warm("hot"), f"temperatures.tiny: hot {RANGE}"),
        (warm(True), f"temperatures.tiny: True {RANGE}"),
        (warm(None), f"temperatures.tiny: None {RANGE}"),
        (staged(temperature=1e9), f"{TINY}temperature: 1000000000.0 {RANGE}"),
        (staged(threshold=NAN), "cascades.two.stages.0.threshold: nan is not finite"),
        (staged(threshold=-0.5), f"{TINY}threshold: -0.5 is not between 0 and 1"),
        (staged(threshold=1.5), f"{TINY}threshold: 1.5 is not between 0 and 1"),
        (lambda d: d.update(default="three"), "default: 'three' is none of two, tiny, small, ta"),
        (lambda d: d.pop("temperatures"), "temperatures: missing"),
        (lambda d: stage(d).pop("threshold"), "threshold: missing"),
    ],
)
def test_a_calibration_with_numbers_that_cannot_be(
    calibrated: Path, change: Callable[[Any], object], message: str
) -> None:
    edit(calibrated / "calibration.json", change)
    assert refused(calibrated) == f"{calibrated / 'calibration.json'}: {message}"


def test_so_has_the_calibration_of_int8(calibrated: Path) -> None:
    file = calibrated / "calibration.onnx-int8.json"
    file.write_bytes((calibrated / "calibration.json").read_bytes())
    edit(file, lambda data: data["temperatures"].update(tiny=1e-9))
    with pytest.raises(CheckpointError) as error:
        calibrated_for(read_manifest(calibrated), "int8")
    assert str(error.value) == f"{file}: temperatures.tiny: 1e-09 {RANGE}"


def test_numbers_beyond_those_of_json_are_no_numbers(calibrated: Path) -> None:
    """1e999 is how JSON can spell infinity; its hash is that of what is read."""
    edit(calibrated / "config.json", lambda data: data["architecture"].update(norm_eps=1e-12))
    data = read_hashed_json(calibrated / "config.json", SCHEMAS)
    data["provenance"]["recipe"] = {"rates": [0.1, INFINITE]}
    write_hashed_json(calibrated / "config.json", data)
    text = (calibrated / "config.json").read_text()
    (calibrated / "config.json").write_text(text.replace("Infinity", "1e999"))
    message = f"{calibrated / 'config.json'}: provenance.recipe.rates.1: inf is not finite"
    assert refused(calibrated) == message


def test_json_that_is_nested_without_end(calibrated: Path) -> None:
    (calibrated / "calibration.json").write_text("[" * 200_000)
    assert refused(calibrated).startswith(f"{calibrated / 'calibration.json'}: not JSON (")


@pytest.mark.parametrize("value", ["NaN", "1e999", "-1e999"])
def test_a_hardware_profile_that_is_not_finite(tmp_path: Path, value: str) -> None:
    for name in names():
        profile = json.loads((SHIPPED / f"{name}.json").read_text())
        field = "costs" if "costs" in profile else "flops"
        profile[field] = "here" if field == "flops" else profile[field] | {"wake": "here"}
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(profile).replace('"here"', value))
        with pytest.raises(PlanError, match=f"{name}.json: "):
            read(path)
