"""Checkpoints of earlier versions, as they would be written today.

Schema 1 had one head, a classifier without a name: its labels stood in `architecture`, its weights
had no prefix, and heads of attention were called `heads`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..nested.head_spec import DEFAULT_HEAD, HeadSpec
from ..nested.shapes import head_weight

SCHEMA = 2
"""Of `config.json`, as it is written."""
SCHEMAS = (1, SCHEMA)
"""That are read."""


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `config.json` says, in the schema of today.

    Raises KeyError, TypeError or AttributeError for what no version has written.
    """
    if config["schema"] == SCHEMA:
        return dict(config)
    trunk = dict(config["architecture"])
    head = {"task": "single_label", "labels": trunk.pop("labels"), "reads": "first"}
    return {
        **config,
        "schema": SCHEMA,
        "architecture": _with_attention_heads(trunk),
        "heads": {DEFAULT_HEAD: head},
        "students": {n: _with_attention_heads(spec) for n, spec in config["students"].items()},
    }


def _with_attention_heads(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"attention_heads" if name == "heads" else name: v for name, v in fields.items()}


def stored_names(
    weights: Collection[str], heads: Collection[HeadSpec], stored: Collection[str]
) -> dict[str, str]:
    """What each of an architecture's weights is called in a file.

    stored: the names that the file has. In a file of schema 1 the only head has no prefix.
    """
    prefix = head_weight(next(iter(heads)).name, "")
    before = {name: name.removeprefix(prefix) for name in weights}
    changed = [there for name, there in before.items() if there != name]
    if len(heads) == 1 and any(there in stored for there in changed):
        return before
    return {name: name for name in weights}
