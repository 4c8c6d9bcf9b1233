"""The file of a comparison: written after every turn, so that nothing measured is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.files import read_json

SCHEMA = 1
SAME = ("checkpoint", "data", "effort", "objective_ms", "seed", "hardware")
"""What must not differ between the turns of one file."""


@dataclass(frozen=True)
class Record:
    """content: as the file has it."""

    path: Path
    content: dict[str, Any]

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Of a server, in the order of their repeats."""
        return list(self.content["servers"].get(name, {}).get("runs", []))

    def has(self, name: str, repeat: int) -> bool:
        """Whether a turn is done. One that failed is not."""
        return any(run["repeat"] == repeat for run in self.runs(name))

    def describe(self, name: str, about: dict[str, Any]) -> None:
        """Say what a server is; keeps its runs, forgets why it failed before."""
        self.content["servers"][name] = {**about, "errors": {}, "runs": self.runs(name)}
        self._write()

    def keep(self, name: str, run: dict[str, Any]) -> None:
        """Add a turn, perhaps one that had failed before."""
        server = self.content["servers"][name]
        server["errors"].pop(str(run["repeat"]), None)
        server["runs"] = sorted([*server["runs"], run], key=lambda each: int(each["repeat"]))
        self._write()

    def fail(self, name: str, what: str, error: str) -> None:
        """Keep why a server could not be measured; its turns so far stay.

        what: failed, a repeat or the preparation.
        """
        self.content["servers"][name]["errors"][what] = error
        self._write()

    def note(self, **values: Any) -> None:
        """Of the comparison as a whole."""
        self.content.update(values)
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.partial")
        partial.write_bytes(orjson.dumps(self.content, option=orjson.OPT_INDENT_2) + b"\n")
        partial.replace(self.path)


def resume(path: Path, conditions: dict[str, Any]) -> Record:
    """Go on with the file at `path`, or begin it.

    Raises LoadtestError if the file holds something else, or was made under other conditions.
    """
    if not path.exists():
        return Record(path, {"benchmark": "peers", "schema": SCHEMA, **conditions, "servers": {}})
    content = read(path)
    for name in SAME:
        if content[name] != conditions[name]:
            raise LoadtestError(
                f"out: {path} was made with another {name} ({content[name]}, now "
                f"{conditions[name]}); choose another --out, or move it away"
            )
    return Record(path, content)


def read(path: Path) -> dict[str, Any]:
    """Raises LoadtestError for a file that is no comparison."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("benchmark") != "peers":
        raise LoadtestError(f"{path}: is no comparison of servers")
    if content["schema"] != SCHEMA:
        raise LoadtestError(f"{path}: schema {content['schema']} is unknown; this reads {SCHEMA}")
    return content
