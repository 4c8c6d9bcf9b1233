"""From nothing to the first answer: what `make serve` takes of time and of disk.

    python -m benchmarks.server.newcomer [REVISION …]

Each revision of this repository (by default HEAD) is cloned to a folder of its own and served by
`make serve`, with an empty cache of graphs; one text is asked, and the server is stopped. Seconds
by the clock from `make` to the answer, in all and as pip took them; MiB of the virtual environment
and of the cache. What pip downloads comes from the index, or the mirror, that it is set up for, and
packages that its own cache holds are not downloaded again. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

from nestling.loadtest.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
BODY = b'{"inputs": "how do i say goodbye in french"}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revisions", nargs="*", default=["HEAD"])
    given = parser.parse_args()
    found = {revision: newcomer(revision) for revision in given.revisions}
    print(
        json.dumps(
            {
                "benchmark": "newcomer",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "command": "python -m benchmarks.server.newcomer BEFORE HEAD",
                "revisions": found,
            }
        )
    )


def newcomer(revision: str) -> dict[str, float]:
    """What one revision takes."""
    with tempfile.TemporaryDirectory() as folder:
        tree, cache = Path(folder) / "nestling", Path(folder) / "cache"
        subprocess.run(["git", "clone", "--quiet", ROOT, tree], check=True)
        subprocess.run(["git", "-C", tree, "checkout", "--quiet", revision], check=True)
        pip = os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
        theirs = {"XDG_CACHE_HOME": str(cache), "PIP_CACHE_DIR": pip, "NESTLING_PORT": "0"}
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        began = time.perf_counter()
        install = ["make", "--silent", "--directory", str(tree), ".venv/.serve"]
        subprocess.run(install, check=True, env=kept | theirs, stdout=sys.stderr)
        installed = time.perf_counter() - began
        serve = ["make", "--silent", "--directory", str(tree), "serve"]
        with ServerProcess(serve, environment=kept | theirs) as server:
            asked = Request(f"{server.url}/v1/classify", BODY)
            with urlopen(asked) as answer:
                answer.read()
            answered = time.perf_counter() - began
        return {
            "seconds": round(answered, 1),
            "seconds_of_pip": round(installed, 1),
            "venv_mib": round(size(tree / ".venv")),
            "cache_mib": round(size(cache)),
        }


def size(folder: Path) -> float:
    """Of all files, in MiB."""
    files = (file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return sum(files) / 2**20


if __name__ == "__main__":
    main()
