"""A declaration that is right, to be made wrong one field at a time."""

from __future__ import annotations

from typing import Any

from nestling.experiments.definition import Experiment, ExperimentPlan
from nestling.experiments.field_checks import Known
from nestling.experiments.parsing import parse

KNOWN = Known({"auto": 2, "fast": 2, "tiny": 0, "ta": 0}, precision="float32")


def experiment(name: str = "smaller", **fields: Any) -> dict[str, Any]:
    """One experiment; fields given as None are left out."""
    whole = {
        "name": name,
        "unit": {"header": "X-User-Id"},
        "variants": [
            {"name": "control", "weight": 1, "policy": "auto"},
            {"name": "small", "weight": 1, "policy": "tiny"},
        ],
        "start": "2026-11-01T00:00:00Z",
        "end": "2026-12-01T00:00:00Z",
        "primary": {"metric": "accuracy", "smallest_effect": 0.005},
        **fields,
    }
    return {key: value for key, value in whole.items() if value is not None}


def plan(
    *experiments: dict[str, Any], layers: list[dict[str, Any]] | None = None
) -> ExperimentPlan:
    return parse({"layers": layers or [], "experiments": list(experiments)}, KNOWN)


def parsed(name: str = "smaller", **fields: Any) -> Experiment:
    return plan(experiment(name, **fields))[name]
