"""The programs beside Python that some tests start, and the Debian packages that bring them.

    python -m tests.programs

installs what is missing, where it may: on Debian or Ubuntu, as root or by sudo without a password.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "buildah": "buildah",
    "chromium": "chromium",
    "debootstrap": "debootstrap",
    "docker-compose": "docker-compose",
    "initdb": "postgresql",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "promtool": "prometheus",
    "qemu-x86_64": "qemu-user",
}
"""By program."""
ADMINISTRATION = "/usr/sbin"
"""Not on everybody's PATH."""
ELSEWHERE = {"initdb": "/usr/lib/postgresql"}
"""Folders, one per version, below which Debian hides programs from the PATH."""


def find(program: str) -> Path | None:
    """Where a program of `PACKAGES` is; None where it is not."""
    if found := shutil.which(program) or shutil.which(program, path=ADMINISTRATION):
        return Path(found).resolve()
    folder = Path(ELSEWHERE.get(program, "/nowhere"))
    versions = sorted(folder.glob(f"*/bin/{program}"), key=lambda path: float(path.parts[-3]))
    return versions[-1] if versions else None


def missing() -> list[str]:
    """Programs that are not on this machine."""
    return [program for program in PACKAGES if find(program) is None]


def command(programs: list[str]) -> str:
    """What brings them, for a person to type."""
    packages = sorted({PACKAGES[program] for program in programs})
    return f"apt-get install --no-install-recommends {' '.join(packages)}"


def install(programs: list[str]) -> None:
    """Install what is missing. Raises CalledProcessError where apt-get fails."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # installed, not started
    settings = [f"{name}={value}" for name, value in quiet.items()]
    for arguments in (["update"], ["install", "--yes", *command(programs).split()[2:]]):
        subprocess.run(
            [*sudo, "env", *settings, "apt-get", "-qq", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def may_install() -> bool:
    """Whether this is a Debian on which somebody lets us install without asking."""
    if shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        return True
    asked = ["sudo", "--non-interactive", "true"]
    return shutil.which("sudo") is not None and not subprocess.run(asked, check=False).returncode


def main() -> None:
    """Install what is missing where that is allowed; else say what would."""
    if not (absent := missing()):
        return
    if may_install():
        print(f"Installing {', '.join(absent)}: {command(absent)}", flush=True)
        install(absent)
    else:
        print(f"{', '.join(absent)} missing; their tests are skipped. {command(absent)}")


if __name__ == "__main__":
    sys.exit(main())
