"""The file: YAML or JSON, and nothing silently read as something else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nestling.experiments.errors import DeclarationError
from nestling.experiments.loader import MOST_BYTES, read
from nestling.experiments.parsing import parse

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
        (
            "a: !!python/object/apply:os.system [ls]",
            "line 1: the tag !!python/object/apply:os.system is not",
        ),
        ("? [1]\n: 2", "line 1: the key a list is not a string"),
        ("1: 2", "line 1: the key 1 is not a string"),
        ("a: [", "line 1: expected"),
        ("\x00", "special characters"),
        ("[" * 10_000, "nested too deeply"),
        ("a: " + "9" * 5000, "4300 digits"),
        ("#" * (MOST_BYTES + 1), "larger than"),
        ("a: 1\nb: !foo bar", "line 2: the tag !foo is not known; leave it out"),
        ("a: !foo {b: 1}", "line 1: the tag !foo is not known"),
        ("a: ! 12", "line 1: the tag ! is not known"),
        ("a: !foo [1]", "line 1: the tag !foo is not known"),
        ("!foo\na: 1", "line 1: the tag !foo is not known"),
        ("a: 1\n!foo b: 2", "line 2: the tag !foo is not known"),
        ("a: !!timestamp 2026-01-01", "line 1: the tag !!timestamp is not known"),
        ("a: !!set {b, c}", "line 1: the tag !!set is not known"),
        ("a: !!binary aGk=", "line 1: the tag !!binary is not known"),
        ("a: !!int 1_000", "line 1: '1_000' is not of the kind that its tag says"),
        ("a: !!bool yes", "line 1: 'yes' is not of the kind"),
        ("a: !!map [1]", "line 1: what has this tag is a mapping"),
        ("a: !!seq {b: 1}", "line 1: what has this tag is a list"),
        ("a: !!str [b]", "line 1: what has this tag is a single value"),
        ("a: 1\nb: *x", "line 2: found undefined alias"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
        ("a: 1\nb: \x07", "line 2: special characters"),
        ("a:\n\t- 1", "line 2: found character"),
        ("", r"is empty; without experiments it is \{\}"),
        ("# nothing\n---\n", "is empty"),
        ("~", "is empty"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(DeclarationError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5e-05", 5e-05),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("6.", 6.0),
        (".inf", math.inf),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("+12", 12),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("190:20:30", "190:20:30"),
        ("0b11", "0b11"),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("y", "y"),
        ("TRUE", True),
        ("false", False),
        ("tRUE", "tRUE"),
        ("Null", None),
        ("", None),
        ("2026-12-01", "2026-12-01"),
        ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z"),
        ("2026-13-45T00:00:00Z", "2026-13-45T00:00:00Z"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("!!str 12", "12"),
        ("!!float 1", 1.0),
        ("'12'", "12"),
    ],
)
def test_values_are_those_of_yaml_1_2(tmp_path: Path, written: str, value: object) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {written}\n")
    read_back = read(path)
    assert read_back == {"a": value}
    assert isinstance(read_back, dict)
    assert type(read_back["a"]) is type(value)


def test_keys_are_texts_that_1_1_takes_for_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("on: 1\nno: 2\n<<: 3\n")
    assert read(tmp_path / "a.yaml") == {"on": 1, "no": 2, "<<": 3}


def test_a_time_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(YAML.replace("2026-11-01", "2026-13-45"))
    with pytest.raises(DeclarationError, match=r"\.start: '2026-13-45T00:00:00Z' is not a time"):
        parse(read(tmp_path / "a.yaml"), KNOWN)


@pytest.mark.parametrize("name", ["a.json", "a.JSON", "a.yaml"])
def test_small_numbers_as_json_writes_them(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    primary = {"metric": "accuracy", "smallest_effect": 5e-05}
    path.write_text("\ufeff" + json.dumps({"experiments": [experiment(primary=primary)]}), "utf-8")
    assert "5e-05" in path.read_text()
    (plan,) = parse(read(path), KNOWN).experiments
    assert plan.smallest_effect == 5e-05


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1,\n "a": 2}', "line 2: 'a' is there twice"),
        ('{"a": "x\\" {",\n "b": [{"a": 1},\n {"c": 1, "\\u0063": 2}]}',
         "line 3: 'c' is there twice"),
        ('{"a" 1}', "line 1, column 6: is not JSON: "),
        ("a: 1", "line 1, column 1: is not JSON"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "4300 digits"),
        (" \n", "is empty"),
        ("null", "is empty"),
        ("{} {}", "line 1, column 4: is not JSON: Extra data"),
        ('{"a": "b\nc"}', "line 1, column 9: is not JSON"),
    ],
)  # fmt: skip
def test_json_that_cannot_be_read(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DeclarationError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)


def test_what_repeats_in_different_objects_is_no_repeat(tmp_path: Path) -> None:
    value = {"a": [{"a": "a"}, {"a": '{"a": 1, "a": 2}'}], "b": {"a": [[], {}]}}
    (tmp_path / "a.json").write_text(json.dumps(value, indent=1))
    assert read(tmp_path / "a.json") == value


def test_not_utf8_and_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\nb: \xff")
    with pytest.raises(DeclarationError, match=r"a\.yaml: line 2: is not UTF-8"):
        read(path)
    with pytest.raises(DeclarationError, match="No such file"):
        read(tmp_path / "b.yaml")
