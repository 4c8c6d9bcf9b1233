"""With what a folder of a long benchmark was begun.

What such a folder keeps is not measured again, so that only a run with the same may go on with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nestling.models.checkpoint.integrity import replace_text
from nestling.models.errors import DataError

BEGUN = "begun-with.json"


def begin(folder: Path, given: Mapping[str, str]) -> None:
    """Make the folder, and keep what decides its results; or go on with one that was begun alike.

    given: by what the program calls it. A folder that was begun before this was kept counts as
    begun alike. Raises DataError naming what differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / BEGUN
    if all(each == file for each in folder.iterdir()):
        replace_text(file, json.dumps(given) + "\n")
    elif file.exists():
        check_alike(folder, json.loads(file.read_text("utf-8")), given)


def check_alike(folder: Path, kept: Mapping[str, object], given: Mapping[str, str]) -> None:
    """Raises DataError where what a folder keeps was measured with something else than is given;
    what it does not say is no difference.
    """
    for name, value in given.items():
        if kept.get(name, value) != value:
            raise DataError(
                f"work: {folder} was begun with {name} {kept[name]}, not {value}: give that again, "
                "take another folder for --work, or remove this one"
            )
