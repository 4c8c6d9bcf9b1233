"""Runs an image as an engine does with `--read-only`: its own mounts and processes, no rights."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from ..server.serving import Server
from .image import Image

START = """
set -eu
root=$1 tmpfs=$2; shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mount --bind "$2" "$root$1"
    case $3 in ro) mount -o remount,bind,ro "$root$1" ;; esac
    shift 3
done
shift
mount -o remount,bind,ro "$root"
# As Docker mounts one: nothing in it can be executed, and so not be loaded as a library either.
case $tmpfs in /*) mount -t tmpfs -o nosuid,nodev,noexec tmpfs "$root$tmpfs" ;; esac
exec chroot "$root" "$@"
"""


class Container:
    """One image with its volumes, where commands run.

    given: paths on this machine that are mounted read-only. tmpfs: whether /tmp can be written.
    """

    def __init__(
        self,
        image: Image,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        given: Mapping[str, Path] | None = None,
        tmpfs: bool = True,
    ) -> None:
        self.image = image
        self.folder = folder
        self._tmpfs = "/tmp" if tmpfs else ""
        self._mounts: list[str] = []
        for path, source in (given or {}).items():
            target = image.root / path.removeprefix("/")
            target.mkdir(exist_ok=True) if source.is_dir() else target.touch()
            self._mounts += [path, str(source), "ro"]
        for path in image.config["Volumes"]:
            # A new volume starts as the image's folder, its owner too.
            volume = self.volume(path)
            original = image.root / path.removeprefix("/")
            subprocess.run(["cp", "--archive", str(original), str(volume)], check=True)
            self._mounts += [path, str(volume), "rw"]
        name = image.config["User"]
        users = (line.split(":") for line in (image.root / "etc/passwd").read_text().splitlines())
        self.user, group, home = next(
            (user[2], user[3], user[5]) for user in users if name in (user[0], user[2])
        )
        self._rights = (
            *("setpriv", f"--reuid={self.user}", f"--regid={group}", "--clear-groups"),
            *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
        )
        variables = dict(pair.split("=", 1) for pair in image.config["Env"])
        variables |= {"HOME": home} | dict(environment or {})
        self._variables = [f"{name}={value}" for name, value in variables.items()]

    def volume(self, path: str) -> Path:
        """Where on this machine the files of a volume are."""
        return self.folder / path.strip("/").replace("/", "-")

    def command(self, *command: str) -> list[str]:
        """What runs a command as the first process of a new container."""
        space = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", START, "sh"]
        mounts = [str(self.image.root), self._tmpfs, *self._mounts, "--"]
        return [*space, *mounts, *self._inside(*command)]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """The same, to its end."""
        return subprocess.run(self.command(*command), capture_output=True, text=True, timeout=300)

    def start(self, *command: str) -> Service:
        """The image's entry point with a command, or with its own, as a server that is asked."""
        entry = [*self.image.config["Entrypoint"], *(command or self.image.config["Cmd"])]
        return Service(self, self.command(*entry))

    def _inside(self, *command: str) -> list[str]:
        place = f"--chdir={self.image.config['WorkingDir']}"
        return [*self._rights, "env", "--ignore-environment", place, *self._variables, *command]

    def execute(self, process: int, *command: str) -> subprocess.CompletedProcess[str]:
        """A command beside one that runs in the container."""
        enter = ["nsenter", f"--target={process}", "--mount", "--pid", "--root", "--wd=/"]
        return subprocess.run(
            [*enter, *self._inside(*command)], capture_output=True, text=True, timeout=60
        )


class Service(Server):
    """A server in a container."""

    def __init__(self, container: Container, command: list[str]) -> None:
        self._container = container
        super().__init__(command, container.folder / "log")

    @property
    def inside(self) -> psutil.Process:
        """The first process of the container: what would be sent the signals."""
        [first] = psutil.Process(self.process.pid).children()
        return first

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the same container."""
        return self._container.execute(self.inside.pid, *command)

    def check_health(self) -> subprocess.CompletedProcess[str]:
        """What the engine does from time to time."""
        kind, *command = self._container.image.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.execute(*command)

    def terminate(self) -> None:
        """Stop it as an engine does."""
        self.inside.send_signal(signal.Signals[self._container.image.config["StopSignal"]])
