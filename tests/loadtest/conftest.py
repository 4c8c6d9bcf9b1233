"""Labelled texts, of which the stub knows the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nestling.loadtest.client.protocols import PROTOCOLS
from nestling.loadtest.client.target import find
from nestling.loadtest.setup import Setup
from nestling.loadtest.texts import read_texts

LATE = 60_000.0
"""Milliseconds by which the client of a test may be late: the machine may be busy."""


def write_data(folder: Path) -> Path:
    """Texts whose first word is their label."""
    path = folder / "data.jsonl"
    rows = [{"text": f"label{n % 7} of text {n}", "label": f"label{n % 7}"} for n in range(50)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def a_setup(url: str, data: Path, **fields: Any) -> Setup:
    """With one process, and fields of one's choice."""
    defaults: dict[str, Any] = {
        "shares": {"native": 1.0},
        "processes": 1,
        "max_lag_ms": LATE,
        "timeout": 20.0,
    }
    return Setup(find(url), read_texts(data), PROTOCOLS, **(defaults | fields))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file of labelled texts."""
    return write_data(tmp_path)


@pytest.fixture
def setup(data: Path) -> Callable[..., Setup]:
    """A set-up for a URL."""
    return lambda url, **fields: a_setup(url, data, **fields)
