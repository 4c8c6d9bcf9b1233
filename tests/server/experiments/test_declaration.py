"""The file: YAML or JSON, and nothing silently read as something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestling.server.experiments import DeclarationError, parse, read
from nestling.server.experiments.declaration import MOST_BYTES

from .declared import KNOWN, experiment

YAML = """
layers:
  - name: routing
experiments:
  - name: smaller
    layer: routing
    enrolled: 0.2
    unit: {header: X-User-Id}
    start: 2026-11-01T00:00:00Z
    primary: {metric: accuracy, smallest_effect: 0.005}
    variants:
      - {name: control, weight: 1, policy: auto}
      - {name: small, weight: 1, policy: tiny}
"""


def test_yaml_and_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(YAML)
    plan = parse(read(tmp_path / "a.yaml"), KNOWN)
    assert plan["smaller"].enrolled == 2000
    (tmp_path / "a.json").write_text(json.dumps({"experiments": [experiment()]}))
    assert parse(read(tmp_path / "a.json"), KNOWN)["smaller"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\na: 2", "line 2: 'a' is there twice"),
        ('{"b": {"a": 1, "a": 2}}', "line 1: 'a' is there twice"),
        ("a: &x [1]\nb: *x", "line 1: an alias"),
        ("- &a [*a]", "line 1: an alias"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: could not determine"),
        ("? [1]\n: 2", "line 1: the key a list is not a string"),
        ("1: 2", "line 1: the key 1 is not a string"),
        ("a: [", "line 1: expected"),
        ("\x00", "special characters"),
        ("[" * 10_000, "nested too deeply"),
        ("a: 2026-13-45T00:00:00Z", "month"),
        ("a: " + "9" * 5000, "4300 digits"),
        ("#" * (MOST_BYTES + 1), "larger than"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(DeclarationError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_not_utf8_and_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff")
    with pytest.raises(DeclarationError, match=r"a\.yaml"):
        read(path)
    with pytest.raises(DeclarationError, match="No such file"):
        read(tmp_path / "b.yaml")
