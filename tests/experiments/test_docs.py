"""docs/experiments.md shows what is taken."""

from __future__ import annotations

from pathlib import Path

import yaml

from nestling.experiments.definition import Experiment
from nestling.experiments.field_checks import Known
from nestling.experiments.metrics import GUARDED, MEASURED
from nestling.experiments.parsing import parse
from nestling.experiments.statistics.mean import MINIMUM_EVENTS, MINIMUM_UNITS

from .declared import experiment, plan

DOCS = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text("utf-8")


def test_the_example_is_valid() -> None:
    declared = yaml.safe_load(DOCS.split("```yaml experiments.yaml")[1].split("```")[0])
    known = Known({"auto": 2, "tiny": 0, "drop-0.01": 2}, precision="float32")
    assert parse(declared, known)["smaller-cascade"].enrolled == 1000


def test_every_field_and_metric_is_named() -> None:
    section = DOCS.split("## Declare")[1].split("## The life")[0]
    for field in Experiment.__dataclass_fields__.keys() - {"smallest_effect"}:
        assert f"`{field}`" in section or f"`{field}." in section or f"`{field}[" in section, field
    for metric in (*MEASURED, *GUARDED):
        assert f"`{metric}`" in section


def test_defaults_and_limits() -> None:
    read = plan(experiment())["smaller"]
    assert f"| `planned_units` | {read.planned_units:,} |" in DOCS
    assert f"| `confidence` | {read.confidence} |" in DOCS
    assert f"below {MINIMUM_UNITS} units per variant" in DOCS
    assert f"may expect {MINIMUM_EVENTS} of what is rarer" in " ".join(DOCS.split())
