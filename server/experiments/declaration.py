"""Reading the file of experiments, YAML or JSON."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from .fields import DeclarationError, Problem, shown

MOST_BYTES = 2**20


class _Loader(yaml.SafeLoader):
    """Refuses what would be read silently as something else: a key twice, an alias."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        alias = self.check_event(yaml.events.AliasEvent)
        node = super().compose_node(parent, index)
        if alias and node is not None:
            raise yaml.constructor.ConstructorError(
                None, None, "an alias stands for this value; write it out", node.start_mark
            )
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {shown(key)} is not a string", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read(path: Path) -> object:
    """What the file says, for `parse`. JSON is read as YAML, of which it is a part.

    Raises DeclarationError that names file and line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise DeclarationError([Problem(str(path), f"is larger than {MOST_BYTES} bytes")])
        return yaml.load(content, _Loader)  # a subclass of the safe one
    except (OSError, UnicodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DeclarationError([Problem(str(path), _one_line(error))]) from error


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return " ".join(str(error).split())
