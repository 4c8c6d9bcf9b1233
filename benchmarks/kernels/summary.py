"""What all sections have left behind: a table, and `summary.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .record import INCOMPLETE, PASSED, Row
from .targets import reached

KILLED = (124, 137)
"""Exit statuses of `timeout`."""


def write(folder: Path, log: Iterable[str]) -> bool:
    """Print the summary and keep it. Returns whether every section was run, and right.

    log: a line per section that was started: its name, exit status, seconds, and how many of our
    kernels were compiled meanwhile.
    """
    sections = [_section(folder, *each) for each in _started(log)]
    print("\n" + "\n".join(table(sections)))
    kernels = _read(folder / "kernels.json")
    targets = reached(kernels)
    print("\n" + "\n".join(target_lines(targets)))
    found = {
        "seconds": sum(each["seconds"] for each in sections),
        "sections": sections,
        "targets": targets,
    }
    (folder / "summary.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return bool(sections) and all(each["state"] == PASSED for each in sections)


def _started(log: Iterable[str]) -> list[tuple[str, int, float, int]]:
    lines = [line.split() for line in log]
    return [(name, int(rc), float(s), int(compiled)) for name, rc, s, compiled in lines]


def _section(folder: Path, name: str, rc: int, seconds: float, compiled: int) -> Row:
    """One section's row. What it could not write itself, for it had ended, is written here."""
    file = folder / f"{name}.json"
    found = _read(file)
    state = found.get("state", INCOMPLETE)
    first = next(iter(found.get("failures", [])), found.get("why", ""))
    if state == INCOMPLETE:
        end = "stopped at its time limit" if rc in KILLED else f"ended with status {rc}"
        first = f"{end}; {first}" if first else end
        kept = {"section": name, **found, "state": INCOMPLETE, "why": first}
        file.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return {
        "section": name,
        "seconds": seconds,
        "state": state,
        "first_failure": first,
        "failures": len(found.get("failures", [])),
        "left_out": found.get("left_out", 0),
        "compiled": compiled,
    }


def _read(file: Path) -> dict[str, Any]:
    """A section's file, empty where there is none."""
    if not file.exists():
        return {}
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def table(sections: Sequence[Row]) -> list[str]:
    """A line per section."""
    lines = [f"{'section':12} {'seconds':>7}  {'state':10}  {'compiled':>8}  first failure"]
    for each in sections:
        note = each["first_failure"].splitlines()[0][:150] if each["first_failure"] else ""
        more = f" ({each['left_out']} left out)" if each["left_out"] else ""
        lines.append(
            f"{each['section']:12} {each['seconds']:7.1f}  {each['state']:10}  "
            f"{each['compiled']:8}  {note}{more}"
        )
    return lines


def target_lines(targets: Sequence[Row]) -> list[str]:
    """A line per target: what was measured beside it."""
    lines = []
    for each in targets:
        if each["measured"] is None:
            said = "not measured"
        else:
            verdict = "reached" if each["met"] else "missed"
            said = f"{each['measured']:.2f} over {each['cells']} cells: {verdict}"
        lines.append(f"{each['figure']}, {each['unit']}, {each['target']}: {said}")
    return lines
