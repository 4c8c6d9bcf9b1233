"""`nestling serve` as a user types it: what it prints, how it ends, what it never imports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from nestling.cli.flags import unknown_variables, with_settings
from nestling.models.errors import NestlingError
from nestling.server.option import options_of
from nestling.server.settings import Settings

from ...conftest import tiny_model, write_changed
from ...progress import without_progress
from ..serving import NESTLING, serve

UNWANTED = ("transformers", "datasets", "matplotlib", "scipy", "sklearn", "pandas", "pyarrow",
            "accelerate")  # fmt: skip


def fail(*arguments: str, **environment: str) -> str:
    """What a command that must end with status 2 says on stderr, in one line."""
    done = subprocess.run(
        [*NESTLING, "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    line = without_progress(done.stderr)
    assert line.count("\n") == 1
    return line.strip()


def test_an_altered_checkpoint_is_not_served(checkpoint_dir: Path) -> None:
    weights = checkpoint_dir / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    line = fail(str(checkpoint_dir), "--port", "0")
    assert line.startswith(f"nestling: {weights}: its sha256 is ")


def test_weights_that_are_not_finite_are_not_served(checkpoint_dir: Path) -> None:
    model = tiny_model()
    model.layers[0].up.bias[5] = float("nan")
    path = write_changed(checkpoint_dir, model)
    assert fail(str(path), "--port", "0") == (
        f"nestling: {path / 'model.safetensors'}: layers.0.up.bias: nan and the like in 1 of 64 "
        "places; a weight must be finite"
    )


def test_answers_that_are_not_finite_are_not_served(checkpoint_dir: Path) -> None:
    model = tiny_model()
    model.layers[3].up.weight *= 2e4
    path = write_changed(checkpoint_dir, model)
    line = fail(str(path), "--port", "0", "--dtype", "float16")
    assert line.startswith(f"nestling: {path / 'model.safetensors'}: student '")
    assert "not finite when it computes in float16; bfloat16 and float32 hold greater" in line


def test_a_taken_port_is_said_in_one_line(checkpoint_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = fail(str(checkpoint_dir), NESTLING_PORT=port)
    assert line == f"nestling: cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"port": -1}, "port: -1 is below 0"),
        ({"port": 65536}, "port: 65536 is above 65535"),
        ({"max_batch_tokens": 0}, "max_batch_tokens: 0 is below 1"),
        ({"threads": 0}, "threads: 0 is below 1"),
        ({"shadow": 1.5}, "shadow: 1.5 is above 1"),
        ({"shadow": float("nan")}, "shadow: nan is below 0"),
        ({"dtype": "int8"}, "dtype: 'int8' is none of auto, float32, bfloat16, float16"),
        ({"keep_days": 0, "store": "sqlite:///x"}, "keep_days: 0 is below 1"),
        ({"keep_days": 30}, "keep_days: nothing is recorded without experiments or store"),
        ({"max_queued_requests": 10}, "max_client_batch: 1024 texts of one request would never"),
    ],
)
def test_settings_name_field_value_and_limit(settings: dict[str, int], message: str) -> None:
    with pytest.raises(NestlingError, match=message):
        Settings(**settings)  # type: ignore[arg-type]


def test_flags_and_variables_are_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, Settings]] = []
    app = typer.Typer()

    @app.command()
    @with_settings
    def command(folder: Annotated[str, typer.Argument()], settings: Settings) -> None:
        seen.append((folder, settings))

    monkeypatch.setenv("NESTLING_PORT", "1")
    monkeypatch.setenv("NESTLING_FILL_MS", "3.5")
    app(["DIR"], standalone_mode=False)
    app(
        ["DIR", "--port", "2", "--threads", "3", "--dtype", "bfloat16", "--log-requests"],
        standalone_mode=False,
    )
    assert seen == [
        ("DIR", Settings(port=1, fill_ms=3.5)),
        ("DIR", Settings(port=2, fill_ms=3.5, threads=3, dtype="bfloat16", log_requests=True)),
    ]


def test_a_variable_that_is_no_setting_is_named() -> None:
    names = [
        "NESTLING_CHECKPOINT",
        "NESTLING_STORE",
        "NESTLING_RUNER",
        "NESTLING_SERVICE_HOST",
        "PATH",
    ]
    assert list(unknown_variables(names)) == [
        "environment: NESTLING_RUNER is no setting, and is ignored; is NESTLING_RUNNER meant?",
        "environment: NESTLING_SERVICE_HOST is no setting, and is ignored",
    ]


def test_a_wrong_flag_or_variable_is_said_in_one_line() -> None:
    hint = " (see `nestling serve --help`)"
    assert fail("--shadow", "2") == f"nestling: --shadow: 2 is above 1{hint}"
    choices = "'auto', 'torch', 'onnx', 'onnx-int8'"
    expected = f"nestling: NESTLING_RUNNER: 'jax' is not one of {choices}{hint}"
    assert fail(NESTLING_RUNNER="jax") == expected


def test_help_names_every_setting_and_waits_for_no_heavy_import() -> None:
    code = (
        "import sys, nestling.cli as cli;"
        "cli.app(['serve', '--help'], standalone_mode=False);"
        "assert not {'torch', 'numpy', 'fastapi', 'uvicorn'} & sys.modules.keys()"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for option in options_of(Settings):
        assert f"  {option.flag} " in shown.stdout
        assert option.variable in shown.stdout


def test_serving_imports_nothing_of_training() -> None:
    code = (
        "import sys, nestling.cli.serve, nestling.server.http.app, nestling.server.supervisor.run;"
        f"print([name for name in {UNWANTED!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_idle_server_stops_with_status_0(calibrated_dir: Path, tmp_path: Path) -> None:
    with serve(calibrated_dir, tmp_path / "log", "--dtype", "bfloat16") as server:
        assert ", cpu, bfloat16 by torch)" in server.greeting
        assert server.client.get("/info").json()["model_dtype"] == "bfloat16"
        assert server.classify("play some music")["decision"]["student"] == "ta"
        server.terminate()
        assert server.wait() == 0
        [line] = server.log.splitlines()  # of thresholds that are of another precision
        assert f"`nestling calibrate {calibrated_dir} --data FILE --precision bfloat16`" in line
