"""Builds the Dockerfile with buildah, which needs no engine, on a Debian of its own packages."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import ROOT

SUITE, PYTHON = "bookworm", "3.11"
"""Debian's release, and the Python that is its own."""
PACKAGES = "python3-venv,python-is-python3"
HEADERS = "libpython3.11-dev"
BASE = f"docker.io/library/python:{PYTHON}-slim"
CALM = {"BUILDAH_ISOLATION": "chroot", "LC_ALL": "C.UTF-8", "DPKG_FORCE": "unsafe-io"}
"""Nobody needs the files after a loss of power, for which dpkg would wait after each."""
_PATH = re.compile(r"(?:(file)://)?(/[^\s']+)")


@dataclass(frozen=True)
class Image:
    """root: its files, mounted. config: what it declares, as `docker inspect` calls it."""

    root: Path
    config: dict[str, Any]


class Builder:
    """Images in a folder of their own, which is removed at the end. Needs root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def base(self) -> None:
        """Tag a Debian with Python as what the Dockerfile starts from.

        Python's own image has the headers and no C library's, so they come without what they need.
        """
        tree = self._folder / "base"
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(tree))
        run("chroot", str(tree), "sh", "-c", f"cd /tmp && apt-get download {HEADERS}")
        run("chroot", str(tree), "sh", "-c", "dpkg -x /tmp/*.deb / && rm /tmp/*.deb")
        container = self._buildah("from", "scratch")
        root = self._buildah("mount", container)
        run("cp", "--archive", f"{tree}/.", root)
        shutil.rmtree(tree)
        self._buildah("commit", "--quiet", "--rm", container, BASE)

    def build(self, name: str, extras: str) -> Image:
        """The real Dockerfile. Layers are not kept: that takes longer than to build twice."""
        arguments = {"PYTHON": PYTHON, "EXTRAS": extras}
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        built = ["build", "--pull-never", "--format=docker", f"--tag={name}"]
        self._buildah(*built, *given, *self._pip(), str(ROOT))
        inspected = json.loads(self._buildah("inspect", "--type=image", name))
        root = self._buildah("mount", self._buildah("from", "--pull-never", name))
        return Image(Path(root), inspected["Docker"]["config"])

    def close(self) -> None:
        self._buildah("rm", "--all")
        shutil.rmtree(self._folder)

    def _buildah(self, *arguments: str) -> str:
        places = ("--root", str(self._folder / "storage"), "--runroot", str(self._folder / "run"))
        return run("buildah", *places, *arguments)

    def _pip(self) -> list[str]:
        """Mounts that show the build, and not the image, how this machine's pip is set up."""
        config, mounted = RawConfigParser(), set[Path]()
        config.add_section("global")
        for line in run(sys.executable, "-m", "pip", "config", "list").splitlines():
            name, _, value = line.partition("=")
            value = ast.literal_eval(value)
            config.set("global", name.rpartition(".")[2], value)
            for index, path in _PATH.findall(value):
                mounted.add(Path(path).parent if index else Path(path))
        written = self._folder / "pip.conf"
        with written.open("w") as file:
            config.write(file)
        mounts = {written: Path("/etc/pip.conf")} | {
            path: path for path in mounted if path.exists()
        }
        return [f"--volume={source}:{target}:ro" for source, target in mounts.items()]


def run(*command: str) -> str:
    """What it prints. Fails the test with all it said, where it fails."""
    environment = CALM | os.environ
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    said = (done.stdout + done.stderr)[-10_000:]
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{said}"
    return done.stdout.strip()
