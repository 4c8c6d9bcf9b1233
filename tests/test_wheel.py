"""What the wheel holds: every room, whole, and nothing of what stands beside the rooms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("capacity", "cli", "experiments", "kernels", "loadtest", "models", "server")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Paths of all files that setuptools would put into the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    library = folder / "library"
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", f"--egg-base={folder}",
         "build_py", f"--build-lib={library}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )  # fmt: skip
    return {path.relative_to(library).as_posix() for path in library.rglob("*") if path.is_file()}


def test_the_wheel_holds_every_file_of_every_room_and_nothing_else(built: set[str]) -> None:
    """So a new data file that pyproject.toml does not name is missed here."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOMS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert built == {f"nestling/{path}" for path in listed if (ROOT / path).is_file()}


def test_the_wheel_holds_what_is_read_while_serving(built: set[str]) -> None:
    for path in (
        "capacity/hardware/h200.json",
        "experiments/store/migrations/script.py.mako",
        "kernels/tiles.json",
        "loadtest/report/page.css",
        "loadtest/report/page.html",
        "models/zoo/clinc150/model.safetensors",
        "server/console/static/index.html",
        "server/http/docs/static/docs.js",
        *(f"{room}/py.typed" for room in ROOMS),
    ):
        assert f"nestling/{path}" in built
