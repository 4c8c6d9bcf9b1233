"""Reading the file of experiments: JSON by its suffix, else YAML."""

from __future__ import annotations

from pathlib import Path

from .errors import DeclarationError, Problem
from .json_text import read_json
from .yaml_text import read_yaml

MOST_BYTES = 2**20


def read(path: Path) -> object:
    """What the file says, for `parse`.

    Raises DeclarationError that names file and line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"is larger than {MOST_BYTES} bytes")
        text = _decode(content)
        declared = (read_json if path.suffix.lower() == ".json" else read_yaml)(text)
        if declared is None:
            raise ValueError("is empty; without experiments it is {}")
    except RecursionError as error:
        raise DeclarationError([Problem(str(path), "is nested too deeply")]) from error
    except (OSError, ValueError) as error:
        raise DeclarationError([Problem(str(path), " ".join(str(error).split()))]) from error
    return declared


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: is not UTF-8") from error
