"""A server on ONNX Runtime, and the commands that compute nothing, where torch cannot be imported.

Nor is anything of a database loaded where no experiments run.

What stands in torch's place is found like torch and refuses to be imported, so that nothing hides
behind its being there; and no process may have torch's libraries in its memory.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from nestling.loadtest.server_process import serve_command
from nestling.models import Checkpoint, Predictor, load_checkpoint
from nestling.models.checkpoint.manifest import calibrated_for
from nestling.models.runners.onnx.runner import OnnxRunner

from ..serving import NESTLING, Server

SHIPPED = Path(__file__).parents[3] / "models/zoo/clinc150"
TEXTS = ["how do i say goodbye in french", "tell me a joke", "is my flight on time", "hm"]


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process whose torch cannot be imported."""
    folder = tmp_path_factory.mktemp("without") / "torch"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('torch was imported')\n")
    path = os.pathsep.join([str(folder.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path}


def check(server: Server) -> None:
    """No process of it has torch, and one has ONNX Runtime."""
    first = psutil.Process(server.process.pid)
    mapped = {
        Path(region.path)
        for process in (first, *first.children(recursive=True))
        for region in process.memory_maps()
    }
    assert [path for path in mapped if "onnxruntime" in path.parts]
    assert [path for path in mapped if "torch" in path.name] == []
    assert [path for path in mapped if "sqlalchemy" in path.parts] == []


@pytest.mark.parametrize(
    ("flags", "runner"),
    [((), "onnx"), (("--runner", "onnx-int8"), "onnx-int8")],
)
def test_a_server_on_onnx_runtime_loads_no_torch(
    calibrated: Checkpoint,
    without_torch: dict[str, str],
    tmp_path: Path,
    texts: list[str],
    flags: tuple[str, ...],
    runner: str,
) -> None:
    command = serve_command(str(calibrated.path), "--device", "auto", *flags)
    with Server(command, tmp_path / "log", without_torch) as server:
        assert f" by {runner}, " in server.greeting
        by = OnnxRunner(calibrated, "int8" if runner == "onnx-int8" else "float32")
        for answer, expected in zip(
            server.classify(texts[:20], model="tiny"),
            Predictor(calibrated, "tiny", by).predict(texts[:20]),
            strict=True,
        ):
            assert answer["label"] == calibrated.architecture.head().labels[expected.answer.label]
        vectors = server.client.post("/v1/embeddings", json={"input": texts[:2], "model": "ta"})
        assert vectors.status_code == 200, vectors.text
        assert server.client.get("/metrics").status_code == 200
        check(server)


@pytest.mark.slow
def test_the_shipped_checkpoint_is_served_by_int8_with_the_answers_of_its_calibration(
    without_torch: dict[str, str], tmp_path: Path
) -> None:
    with Server(serve_command(str(SHIPPED)), tmp_path / "log", without_torch) as server:
        assert "int8 by onnx-int8, " in server.greeting
        assert "INFO runner: onnx-int8 (cpu; calibration.onnx-int8.json promises" in server.log
        answers = server.classify(TEXTS)
        check(server)
    loaded = calibrated_for(load_checkpoint(SHIPPED), "int8")
    for answer, expected in zip(
        answers, Predictor(loaded, runner=OnnxRunner(loaded, "int8")).predict(TEXTS), strict=True
    ):
        assert answer["label"] == loaded.architecture.head().labels[expected.answer.label]
        path = [(step.stage.student.name, step.accepted) for step in expected.steps]
        assert [(s["student"], s["accepted"]) for s in answer["decision"]["path"]] == path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["info", "CHECKPOINT"], "sha256"),
        (["key", "somebody"], "somebody"),
        (["export", "--help"], "Usage"),
        (["samples", "--help"], "Usage"),
        (["replay", "--help"], "Usage"),
    ],
)
def test_commands_that_compute_nothing_load_no_torch(
    calibrated_dir: Path, without_torch: dict[str, str], words: list[str], said: str
) -> None:
    given = [str(calibrated_dir) if word == "CHECKPOINT" else word for word in words]
    done = subprocess.run(
        [*NESTLING, *given], env=without_torch, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
