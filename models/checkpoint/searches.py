"""Students that a search adds to a checkpoint, and what is kept of the search.

Beside the students themselves, in `config.json`, each search leaves what it measured, and a sample
of the texts that it looked at: `nestling calibrate` knows them again. The samples are written
first, then what all students answer on those texts, by which `nestling calibrate` orders its tests,
and the students last: should the next file never come, a few texts too many are refused. Were
the answers there without the samples, texts could order the tests that are made on themselves.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NestlingError
from ..inputs.data.fingerprints import TextSample
from ..nested.spec import StudentSpec
from .held_out import HeldOutAnswers, write_held_out
from .integrity import SCHEMA, new_directory, read_hashed_json, write_hashed_json
from .manifest import CONFIG, SEARCHES, WEIGHTS, Manifest, parse
from .schema import SCHEMAS, upgraded


@dataclass(frozen=True)
class SearchRecord:
    """data: name of the file of texts, with its sha256. looked_at: a sample of its texts. options:
    what was asked for. students: by name, what was measured of each that was added.
    """

    data: str
    data_sha256: str
    looked_at: TextSample
    options: Mapping[str, Any]
    students: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "looked_at": self.looked_at.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SearchRecord:
        """Raises KeyError or ValueError for what `to_json` has not made."""
        return cls(
            data["data"],
            data["data_sha256"],
            TextSample.from_json(data["looked_at"]),
            data["options"],
            data["students"],
        )


def read_searches(path: Path) -> list[SearchRecord]:
    """All that have added students to the checkpoint in a directory. Raises CheckpointError."""
    file = path / SEARCHES
    if not file.exists():
        return []
    found: list[SearchRecord] = parse(
        file, lambda: [SearchRecord.from_json(each) for each in read_hashed_json(file)["searches"]]
    )
    return found


def add_students(
    path: Path,
    students: Mapping[str, StudentSpec],
    search: SearchRecord,
    held_out: HeldOutAnswers,
) -> None:
    """Add students to the checkpoint in a directory: all of them, or none.

    held_out: what all students answer on the texts of the search, in place of what is kept.
    Weights, calibration and report stay as they are. Raises NestlingError for a name that is taken.
    """
    config = upgraded(read_hashed_json(path / CONFIG, SCHEMAS))
    if taken := sorted(students.keys() & config["students"].keys()):
        raise NestlingError(f"{path}: has a student {taken[0]!r} already")
    searches = [*read_searches(path), search]
    record = {"schema": SCHEMA, "searches": [each.to_json() for each in searches]}
    write_hashed_json(path / SEARCHES, record)
    write_held_out(path, held_out, config["files"][WEIGHTS])
    config["students"] |= {name: spec.to_json() for name, spec in students.items()}
    write_hashed_json(path / CONFIG, config)


def copy_with_students(
    manifest: Manifest,
    out: Path,
    students: Mapping[str, StudentSpec],
    search: SearchRecord,
    held_out: HeldOutAnswers,
) -> None:
    """A copy of a checkpoint that has them too. Raises NestlingError if `out` exists."""
    with new_directory(out, "a checkpoint") as temporary:
        for file in manifest.path.iterdir():
            if file.is_file():
                shutil.copyfile(file, temporary / file.name)
        add_students(temporary, students, search, held_out)
