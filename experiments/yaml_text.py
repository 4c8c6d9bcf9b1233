"""YAML by the rules of version 1.2, of which JSON is a part.

The library knows version 1.1, which reads `no` as false, `12:30:00` as 45,000, `010` as 8, `1_000`
as 1,000, a date as another kind of value than its text, and `5e-05` as text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, NoReturn

import yaml

from .errors import shown

TAG = "tag:yaml.org,2002:"
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
TRUTH = re.compile(r"true|True|TRUE|false|False|FALSE")
NOTHING = re.compile(r"~|null|Null|NULL|")


def read_yaml(text: str) -> object:
    """None where there is nothing. Raises ValueError that names the line, RecursionError."""
    try:
        return yaml.load(text, _Loader)  # a subclass of the safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ValueError(f"line {line}: {error.reason}") from error


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2; refuses a key twice, an alias, and tags beyond the schema."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the library's own
    yaml_constructors = {}  # noqa: RUF012

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        alias = self.check_event(yaml.events.AliasEvent)
        tag = getattr(self.peek_event(), "tag", None)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        if tag == "!" and node is not None:  # which the library takes for no tag
            _refuse("the tag ! is not known; leave it out", node)
        if alias and node is not None:
            _refuse("an alias stands for this value; write it out", node)
        return node

    def mapping(self, node: yaml.Node) -> dict[Hashable, Any]:
        """A mapping of texts to values, each once."""
        if not isinstance(node, yaml.MappingNode):
            _refuse("what has this tag is a mapping", node)
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                _refuse(f"the key {shown(key)} is not a string", key_node)
            if key in seen:
                _refuse(f"{key!r} is there twice", key_node)
            seen.add(key)
        return {
            self.construct_object(key, deep=True): self.construct_object(value, deep=True)
            for key, value in node.value
        }

    def sequence(self, node: yaml.Node) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            _refuse("what has this tag is a list", node)
        return [self.construct_object(each, deep=True) for each in node.value]

    def text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            _refuse("what has this tag is a single value", node)
        return str(node.value)

    def integer(self, node: yaml.Node) -> int:
        text = self._as(INTEGER, node)
        try:
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        except ValueError as error:  # it has thousands of digits
            _refuse(str(error), node)

    def number(self, node: yaml.Node) -> float:
        return float(self._as(FLOAT, node).lower().replace(".inf", "inf").replace(".nan", "nan"))

    def truth(self, node: yaml.Node) -> bool:
        return self._as(TRUTH, node).lower() == "true"

    def nothing(self, node: yaml.Node) -> None:
        self._as(NOTHING, node)

    def unknown(self, node: yaml.Node) -> NoReturn:
        """What has another tag."""
        _refuse(f"the tag {node.tag.replace(TAG, '!!')} is not known; leave it out", node)

    def _as(self, form: re.Pattern[str], node: yaml.Node) -> str:
        text = self.text(node)
        if not form.fullmatch(text):
            _refuse(f"{shown(text)} is not of the kind that its tag says", node)
        return text


def _refuse(message: str, node: yaml.Node) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)


for kind, form, starts in (
    ("null", NOTHING, ["~", "n", "N", ""]),
    ("bool", TRUTH, list("tTfF")),
    ("int", INTEGER, list("-+0123456789")),
    ("float", FLOAT, list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(TAG + kind, re.compile(f"(?:{form.pattern})\\Z"), starts)
for kind, construct in (
    ("map", _Loader.mapping),
    ("seq", _Loader.sequence),
    ("str", _Loader.text),
    ("int", _Loader.integer),
    ("float", _Loader.number),
    ("bool", _Loader.truth),
    ("null", _Loader.nothing),
):
    _Loader.add_constructor(TAG + kind, construct)
_Loader.add_constructor(None, _Loader.unknown)
