"""One section of the measurements on a GPU, into a JSON file of its name.

`benchmarks/device.sh` runs all of them, each with a time limit of its own. Without `--device cpu`,
which rehearses a section on small shapes, a CUDA device is needed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from pathlib import Path

from . import summary
from .record import NotRunError, Record

SECTIONS = ("machine", "warm", "correctness", "memcheck", "kernels", "cascades", "server", "tune")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("section", choices=(*SECTIONS, "small", "summary"))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks/gpu"))
    parser.add_argument("--seconds", type=float, default=3600.0, help="when to begin nothing more")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu for a rehearsal")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.section == "summary":
        sys.exit(0 if summary.write(given.out, sys.stdin) else 1)
    record = Record(given.section, given.out, given.seconds, time.monotonic())
    sys.exit(0 if ran(record, given.device) else 1)


def ran(record: Record, device: str) -> bool:
    """Run a section to its end. Returns whether all of it was run, and right."""
    record.note(device=device)
    try:
        section = importlib.import_module(f"{__package__}.sections.{record.section}")
        section.run(record, device)
    except NotRunError as missing:
        return record.not_run(str(missing))
    except Exception as error:
        traceback.print_exc()
        record.failed(record.section, error)
    return record.finish()


if __name__ == "__main__":
    main()
