"""`nestling serve` as a user types it: what it prints, how it ends, what it never imports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nestling.models.errors import NestlingError
from nestling.server.settings import Settings

from .serving import NESTLING, serve

UNWANTED = ("transformers", "datasets", "matplotlib", "scipy", "sklearn", "pandas", "accelerate")


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
    assert done.stderr.count("\n") == 1
    return done.stderr.strip()


def test_an_altered_checkpoint_is_not_served(checkpoint_dir: Path) -> None:
    weights = checkpoint_dir / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    line = fail(str(checkpoint_dir), "--port", "0")
    assert line.startswith(f"nestling: {weights}: its sha256 is ")


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
        ({"dtype": "int8"}, "dtype: 'int8' is none of float32, bfloat16, float16"),
        ({"max_queued_requests": 10}, "max_client_batch: 1024 texts of one request would never"),
    ],
)
def test_settings_name_field_value_and_limit(settings: dict[str, int], message: str) -> None:
    with pytest.raises(NestlingError, match=message):
        Settings(**settings)  # type: ignore[arg-type]


def test_serving_imports_nothing_of_training() -> None:
    code = (
        "import sys, nestling.server.cli.serve, nestling.server.app, nestling.server.run;"
        f"print([name for name in {UNWANTED!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_idle_server_stops_with_status_0(calibrated_dir: Path, tmp_path: Path) -> None:
    with serve(calibrated_dir, tmp_path / "log", "--dtype", "bfloat16") as server:
        assert server.classify("play some music", model="ta")["label"]
        server.terminate()
        assert server.wait() == 0
        assert server.log == ""
