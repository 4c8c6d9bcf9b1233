"""What must not be served is refused, and the message names the file."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nestling.models import Checkpoint, CheckpointError, NestlingError, load_checkpoint
from nestling.models.cascade.policy import Cascade, Stage
from nestling.models.checkpoint.integrity import read_hashed_json, sha256_of, write_hashed_json
from nestling.models.checkpoint.save import write_calibration, write_checkpoint
from nestling.models.checkpoint.schema import SCHEMAS

from ...conftest import LABELS, tiny_architecture, tiny_model, tiny_students, write_tokenizer

FILES = ("config.json", "model.safetensors", "tokenizer.json", "calibration.json", "report.json")


@pytest.fixture
def full(checkpoint: Checkpoint) -> Path:
    """A checkpoint with all five files."""
    stages = (Stage(checkpoint.students["tiny"], 0.9), Stage(checkpoint.ta, 0.0))
    temperatures = {"tiny": 1.5, "small": 0.8, "ta": 1.1}
    write_calibration(checkpoint, temperatures, {"two": Cascade("two", stages)}, "two")
    write_hashed_json(checkpoint.path / "report.json", {"schema": 1, "policies": []})
    return checkpoint.path


def refused(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    return error.value


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change a hashed JSON file and hash it anew."""
    data = read_hashed_json(path, SCHEMAS)
    change(data)
    write_hashed_json(path, data)


def test_loads_what_was_written(full: Path) -> None:
    loaded = load_checkpoint(full)
    assert list(loaded.students) == ["tiny", "small", "ta"]
    assert {n: s.temperature for n, s in loaded.students.items()} == {
        "tiny": 1.5, "small": 0.8, "ta": 1.1,
    }  # fmt: skip
    assert loaded.default == "two"
    assert loaded.policy() is loaded.cascades["two"]
    assert loaded.architecture.head().labels == LABELS
    for name, tensor in tiny_model().state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)


def test_a_cascade_keeps_the_temperatures_of_its_thresholds(full: Path) -> None:
    before = load_checkpoint(full)
    write_calibration(before, {"tiny": 9.0}, before.cascades, "two")
    after = load_checkpoint(full)
    assert after.students["tiny"].temperature == 9.0
    assert after.cascades["two"].stages == before.cascades["two"].stages


@pytest.mark.parametrize("name", FILES[:4])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated(full: Path, name: str, kept: float) -> None:
    content = (full / name).read_bytes()
    (full / name).write_bytes(content[: int(kept * len(content))])
    error = refused(full)
    assert error.file == full / name
    assert str(error).startswith(f"{full / name}: ")
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", FILES[:4])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_one_flipped_bit(full: Path, name: str, place: float) -> None:
    content = bytearray((full / name).read_bytes())
    content[int(place * len(content))] ^= 1
    (full / name).write_bytes(content)
    assert refused(full).file == full / name


@pytest.mark.parametrize("name", FILES[:3])
def test_missing_file(full: Path, name: str) -> None:
    (full / name).unlink()
    said = {"config.json": f"{full}: is no Nestling checkpoint: it has no config.json"}
    assert str(refused(full)) == said.get(name, f"{full / name}: missing")


def test_without_calibration_the_ta_answers(full: Path) -> None:
    (full / "calibration.json").unlink()
    loaded = load_checkpoint(full)
    assert loaded.default == "ta"
    assert not loaded.cascades


def test_no_such_directory(tmp_path: Path) -> None:
    assert str(refused(tmp_path / "none")) == f"{tmp_path / 'none'}: no such directory"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "x.pkl", "optimizer.ckpt"])
def test_a_pickle(full: Path, name: str) -> None:
    (full / name).write_bytes(b"\x80\x04.")
    assert str(refused(full)) == (f"{full / name}: a pickle may run code when it is read; refused")


@pytest.mark.parametrize(("name", "read"), [("config.json", "1 and 2"), ("calibration.json", "1")])
def test_another_schema_version(full: Path, name: str, read: str) -> None:
    edit(full / name, lambda data: data.update(schema=3))
    assert str(refused(full)) == (
        f"{full / name}: schema version 3; this version of Nestling reads {read}"
    )


def test_json_of_something_else(full: Path) -> None:
    (full / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert "not part of a Nestling checkpoint" in str(refused(full))


def test_labels_that_do_not_match_the_weights(full: Path) -> None:
    def change(data: dict[str, object]) -> None:
        data["heads"]["label"]["labels"].append("another")  # type: ignore[index]

    edit(full / "config.json", change)
    error = refused(full)
    assert error.file == full / "model.safetensors"
    assert "(6 labels) asks for [6, 32]" in str(error)


def test_calibrated_on_other_weights(full: Path) -> None:
    edit(full / "calibration.json", lambda data: data.update(weights_sha256="0" * 64))
    assert "calibrated on other weights" in str(refused(full))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": [0, 9]}, "student 'tiny': layers: 9 is outside 0 to 3"),
        ({"dim": "wide"}, "dim: ['wide'] holds something else than whole numbers"),
    ],
)
def test_a_student_that_cannot_be(full: Path, change: dict[str, object], message: str) -> None:
    def replace(data: dict[str, object]) -> None:
        data["students"]["tiny"].update(change)  # type: ignore[index]

    edit(full / "config.json", replace)
    assert str(refused(full)) == f"{full / 'config.json'}: {message}"


@pytest.mark.parametrize("name", ["", "小", "a b", "a\nb", "a/b", "-a", "a" * 65])
def test_names_stand_in_headers_and_paths(full: Path, name: str) -> None:
    edit(full / "calibration.json", lambda d: d["cascades"].update({name: d["cascades"]["two"]}))  # type: ignore[attr-defined]
    message = str(refused(full))
    assert f"calibration.json: cascade {name[:64]!r}: its name is not of the form" in message
    edit(full / "config.json", lambda d: d["students"].update({name: d["students"]["tiny"]}))  # type: ignore[attr-defined]
    message = str(refused(full))
    assert f"config.json: student {name[:64]!r}: its name is not of the form" in message


def test_a_cascade_that_might_not_answer(full: Path) -> None:
    def change(data: dict[str, object]) -> None:
        data["cascades"]["two"]["stages"].pop()  # type: ignore[index]

    edit(full / "calibration.json", change)
    assert "the last stage must accept always" in str(refused(full))


@pytest.mark.parametrize("fault", ["missing", "unknown"])
def test_weights_of_another_architecture(full: Path, fault: str) -> None:
    weights = load_file(full / "model.safetensors")
    if fault == "missing":
        del weights["heads.label.pooler.bias"]
    else:
        weights["adapter"] = torch.zeros(1)
    save_file(weights, full / "model.safetensors")
    (full / "calibration.json").unlink()

    def change(data: dict[str, object]) -> None:
        data["files"]["model.safetensors"] = sha256_of(full / "model.safetensors")  # type: ignore[index]

    edit(full / "config.json", change)
    expected = (
        "heads.label.pooler.bias: missing" if fault == "missing" else "adapter: no such weight"
    )
    assert str(refused(full)).startswith(f"{full / 'model.safetensors'}: {expected}")


def test_never_writes_over(checkpoint_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(NestlingError, match="exists already; a checkpoint is never written over"):
        write_checkpoint(
            checkpoint_dir, tiny_architecture(), tiny_students(), {}, tmp_path / "none", {}
        )


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_checkpoint(
            tmp_path / "new", tiny_architecture(), {}, tiny_model().state_dict(),
            tmp_path / "no-tokenizer.json", {},
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


SAVING = """
import sys
from pathlib import Path
import torch
from nestling.models import load_checkpoint
from nestling.models.checkpoint.save import write_calibration, write_checkpoint
from tests.conftest import tiny_architecture, tiny_model, tiny_students, write_tokenizer

folder = Path(sys.argv[1])
tokenizer = write_tokenizer(folder / "tokenizer.json")
state = tiny_model().state_dict()
print("ready", flush=True)
for count in range(100_000):
    path = folder / f"checkpoint-{count}"
    write_checkpoint(path, tiny_architecture(), tiny_students(), state, tokenizer, {})
    loaded = load_checkpoint(path)
    for number in range(20):
        write_calibration(loaded, {"tiny": 1.0 + number}, {}, "ta")
"""


@pytest.mark.parametrize("delay", [0.02, 0.17])
def test_killed_while_saving(tmp_path: Path, delay: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SAVING, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("checkpoint-*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    written = list(tmp_path.glob("checkpoint-*"))
    assert written
    for path in written:
        load_checkpoint(path)
    assert len(list(tmp_path.glob(".checkpoint-*"))) <= 1  # what was being written, out of sight


def test_moves_with_its_directory(full: Path, tmp_path: Path) -> None:
    moved = shutil.move(full, tmp_path / "elsewhere")
    assert load_checkpoint(moved).default == "two"


def test_the_writer_of_a_tokenizer_is_checked(full: Path, tmp_path: Path) -> None:
    write_tokenizer(full / "tokenizer.json")
    (full / "tokenizer.json").write_text("{}")

    def change(data: dict[str, object]) -> None:
        data["files"]["tokenizer.json"] = sha256_of(full / "tokenizer.json")  # type: ignore[index]

    edit(full / "config.json", change)
    assert refused(full).file == full / "tokenizer.json"
