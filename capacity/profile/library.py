"""Hardware by name or by file: measured profiles, and estimates that rest on one of them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from ..errors import PlanError
from .estimate import Estimate
from .profile import Profile

SHIPPED = Path(str(files("nestling.capacity"))) / "hardware"


def names() -> list[str]:
    """Of the hardware that ships."""
    return sorted(file.stem for file in SHIPPED.glob("*.json"))


def find(hardware: str) -> Profile | Estimate:
    """The hardware that ships under a name, or that a file holds. Raises PlanError for neither."""
    shipped = SHIPPED / f"{hardware}.json"
    if hardware in names():
        return read(shipped)
    if Path(hardware).is_file():
        return read(Path(hardware))
    raise PlanError(
        f"hardware: {hardware!r} is no file, and none of {', '.join(names())}; "
        "`nestling plan measure` makes a profile of this machine"
    )


def find_measured(hardware: str) -> Profile:
    """The same, but it must have been measured. Raises PlanError for an estimate."""
    found = find(hardware)
    if isinstance(found, Estimate):
        raise PlanError(f"host: {hardware!r} is an estimate; a measured profile is needed")
    return found


def read(path: Path) -> Profile | Estimate:
    """Raises PlanError that names the file, and the field at fault."""
    try:
        data = path.read_bytes()
        said = orjson.loads(data)
    except (OSError, orjson.JSONDecodeError) as error:
        raise PlanError(f"{path}: cannot be read as a hardware profile: {error}") from error
    measured = isinstance(said, dict) and said.get("measured") is True
    adapter = TypeAdapter[Profile | Estimate](Profile if measured else Estimate)
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise PlanError(f"{path}: {place}: {first['msg'].lower()}") from error
