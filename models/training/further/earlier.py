"""What runs to the same output have left: which of them may be gone on with, and how much of a log
they read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...errors import NestlingError
from ..workplace import SETTINGS
from .material import FurtherMaterial, FurtherOptions
from .parts import TRAFFIC
from .traffic import begins_with

SHARE = "share"
"""The decision after which a run is judged."""


def settings_of(
    options: FurtherOptions, material: FurtherMaterial, processes: int
) -> dict[str, Any]:
    """What decides the result: equal settings may resume each other."""
    checkpoint = material.checkpoint
    return {
        "recipe": asdict(material.recipe),
        "minutes": options.wishes.minutes,
        "longest": material.longest,
        "weights_sha256": checkpoint.weights_sha256,
        "students": {
            name: {**student.spec.to_json(), "temperature": student.temperature}
            for name, student in checkpoint.students.items()
        },
        "stages": checkpoint.policy().to_json()["stages"],  # they say who is sure
        "text_columns": [options.texts.text, options.texts.pair],
        "label_column": options.labels.column,
        "files": material.files,
        "traffic_bytes": material.traffic_bytes,
        "processes": processes,
    }


def digest_of(settings: Mapping[str, Any]) -> str:
    """The name of a run's folder."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def bytes_read(traffic: Path, folder: Path) -> int | None:
    """How much of a log earlier runs read, if it has only grown since; None where none did.

    A server goes on writing its log, and a command that is repeated is to find the same texts.
    """
    sizes = [
        told["traffic_bytes"]
        for _, told in _runs(folder)
        if "traffic_bytes" in told
        and begins_with(traffic, told["traffic_bytes"], told["files"][TRAFFIC])
    ]
    return max(sizes, default=None)


def check_judged(settings: Mapping[str, Any], folder: Path) -> None:
    """Before what is worse is kept: raises NestlingError where runs to this output were judged, but
    none with these settings. What would be written is not what the user has seen.
    """
    judged = [told for run, told in _runs(folder) if (run / f"{SHARE}.json").exists()]
    different = [", ".join(sorted(_different(told, settings))) for told in judged]
    if different and all(different):
        raise NestlingError(
            f"--keep-worse: what was judged before had other settings, in "
            f"{min(different, key=len)}; repeat that command, or remove {folder} to "
            "train anew"
        )


def _runs(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(folder.glob(f"*/{SETTINGS}")):
        yield file.parent, json.loads(file.read_text("utf-8"))


def _different(one: Any, other: Any, name: str = "") -> Iterator[str]:
    """Names of what differs in two things from JSON."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in {*one, *other}:
            yield from _different(one.get(key), other.get(key), f"{name}.{key}" if name else key)
    elif json.dumps(one) != json.dumps(other):
        yield name
