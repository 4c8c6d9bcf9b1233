"""What the console shows of the checkpoint that answers: what changes with a reload alone."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, cast

from ...models.checkpoint.integrity import read_hashed_json
from ...models.checkpoint.manifest import REPORT, Manifest, parse
from ...models.errors import CheckpointError
from ...models.precision import Precision, file_of
from ..core.service import Service
from ..http.protocols.native.models import relative_cost
from .library import charts_version

MEASURED = ("name", "kind", "accuracy", "relative_flops", "relative_seconds")


def about(service: Service, experiments: bool) -> dict[str, Any]:
    """Reads the checkpoint's report: not for the event loop. experiments: whether they are on."""
    manifest, settings = service.manifest, service.settings
    return {
        "checkpoint": manifest.path.name,
        "weights": manifest.weights_sha256[:12],
        "version": version("nestling"),
        "charts": charts_version(),
        "device": service.device,
        "precision": service.precision,
        "price_per_hour": settings.price_per_hour,
        "target_delay_ms": settings.target_delay_ms,
        "experiments": experiments,
        "default": manifest.default,
        "students": [
            {
                "name": student.name,
                "relative_cost": relative_cost(manifest, student),
                "layers": len(student.spec.layers),
                "parameters": student.parameters,
            }
            for student in manifest.students.values()
        ],
        "cascades": [
            {"name": name, **cascade.to_json()} for name, cascade in manifest.cascades.items()
        ],
        "frontier": _frontier(manifest, service.precision),
    }


def _frontier(manifest: Manifest, precision: Precision) -> dict[str, Any]:
    """What `nestling evaluate --keep` measured, or why there is nothing to show."""
    path = manifest.path / file_of(REPORT, precision)
    try:
        report = read_hashed_json(path)
        return cast(dict[str, Any], parse(path, lambda: _measured(report, manifest)))
    except CheckpointError as error:
        return {"missing": path.name + str(error).removeprefix(str(path))}


def _measured(report: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """Raises ValueError for a report of other weights, KeyError for one that lacks a field."""
    if report["weights_sha256"] != manifest.weights_sha256:
        raise ValueError("measured on other weights")
    return {
        "date": report["date"],
        "data": report["data"],
        "policies": [{name: each[name] for name in MEASURED} for each in report["policies"]],
    }
