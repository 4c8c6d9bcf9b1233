"""An environment for each peer, with the very versions that its requirements file pins."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from nestling.loadtest.errors import LoadtestError

from .registry import Peer

STAMP = "installed.sha256"
"""Of the requirements that an environment holds, written when it is complete."""


def requirements(name: str) -> str:
    """All pins of an environment, as pip reads them."""
    folder = Path(__file__).with_name("requirements")
    return (folder / f"{name}.txt").read_text("utf-8")


def versions(peer: Peer) -> dict[str, str]:
    """Of the packages that make a peer what it is."""
    if peer.environment is None:
        return {package: version(package) for package in peer.packages}
    pins = {}
    for line in requirements(peer.environment).splitlines():
        package, _, pin = line.partition("==")
        pins[package.lower().replace("_", "-")] = pin
    return {package: pins[package] for package in peer.packages}


def flags() -> set[str]:
    """What the processor can do, by the kernel's names."""
    info = Path("/proc/cpuinfo").read_text("utf-8")
    return set(info.partition("\nflags")[2].partition("\n")[0].split())


def installed(name: str | None, cache: Path) -> Path:
    """The folder of programs of an environment, installed if it is not there as it should be.

    None is the environment that this runs in. Raises LoadtestError that names pip's log.
    """
    if name is None:
        return Path(sysconfig.get_path("scripts"))
    pins = requirements(name)
    digest = hashlib.sha256(pins.encode()).hexdigest()
    folder = cache / "environments" / name
    stamp = folder / STAMP
    if not stamp.exists() or stamp.read_text("utf-8") != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        log = cache / "logs" / f"install-{name}.log"
        wanted = cache / "environments" / f"{name}.txt"
        wanted.write_text(pins, "utf-8")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off"]
        logged([sys.executable, "-m", "venv", str(folder)], log, f"{name}: environment")
        # Everything is pinned, so nothing is left for pip to resolve, and a peer may be given
        # versions that its own bounds do not know yet.
        logged([*pip, "--no-deps", "--requirement", str(wanted)], log, f"{name}: installation")
        stamp.write_text(digest, "utf-8")
    return folder / "bin"


def logged(command: Sequence[str], log: Path, what: str) -> None:
    """Run it, its output at the end of a log. Raises LoadtestError that names the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False
        )
    if ended.returncode:
        raise LoadtestError(f"{what}: failed with status {ended.returncode}; see {log}")
