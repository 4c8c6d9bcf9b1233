"""`nestling calibrate --from-shadow`: thresholds that follow the traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..models.errors import DataError, NestlingError
from .calibrated import CONFIDENCE, MAX_DROP, show
from .calibration_report import write_report
from .rule import tell_what_is_served

if TYPE_CHECKING:
    from ..models.calibration.cost import TimeModel
    from ..models.calibration.target import RiskTarget
    from ..models.cascade.policy import Cascade, Student
    from ..models.checkpoint.manifest import Manifest
    from ..models.precision import Precision
    from ..models.progress import Progress


def recalibrate(
    manifest: Manifest,
    precision: Precision,
    file: Path,
    seconds: TimeModel | None,
    alpha: float | None,
    confidence: float | None,
    name: str | None,
    report: Path | None,
    progress: Progress,
) -> Callable[[], None]:
    """Choose the thresholds of the recorded cascades anew, all of them or none.

    seconds: that are minimised; None minimises FLOPs. alpha, confidence: None keeps each cascade's
    own. name: one cascade alone. report: file for a page about it. Returns what shows the result,
    for when no progress is shown any more.
    """
    from ..models.calibration.recalibrate import check_enough
    from ..models.calibration.recalibrate import recalibrate as find
    from ..models.calibration.records import read_records
    from ..models.checkpoint.save import write_calibration

    cascades = _wanted(manifest, name, progress)
    progress.step(f"reading {file}")
    found = read_records(file, manifest.weights_sha256, cascades, precision)
    refused = "".join(f"; {count:,} {why}" for why, count in sorted(found.refused.items()))
    if not found.usable:
        raise DataError(f"{file}: no record that can be used{refused}")
    progress.note(
        f"{file}: {sum(map(len, found.usable.values())):,} records that can be used{refused}"
    )
    known = {cascade.name: cascade for cascade in cascades}
    targets = {each: _target(known[each], alpha, confidence) for each in found.usable}
    for each, records in found.usable.items():
        check_enough(known[each], records, targets[each])
    results = []
    for done, (each, records) in enumerate(found.usable.items()):
        progress.step("looking for the thresholds", done, len(found.usable))
        results.append(find(known[each], records, targets[each], seconds))
    fresh = {result.cascade.name: result.cascade for result in results}
    temperatures = {student.name: student.temperature for student in manifest.students.values()}
    write_calibration(
        manifest, temperatures, {**manifest.cascades, **fresh}, manifest.default, precision
    )

    def tell() -> None:
        for result in results:
            show(manifest, result.cascade, result.choice)
        if kept := [cascade.name for cascade in cascades if cascade.name not in fresh]:
            typer.echo(f"Without records, and as before: {', '.join(kept)}.")
        if report is not None:
            found_by = [
                (each.cascade, each.choice, _students(known[each.cascade.name])) for each in results
            ]
            write_report(report, manifest, precision, file, found_by)
        typer.echo("A running server takes it up by SIGHUP or POST /admin/reload.")
        tell_what_is_served(manifest.path)

    return tell


def _wanted(loaded: Manifest, name: str | None, progress: Progress) -> list[Cascade]:
    if name is not None and name not in loaded.cascades:
        known = ", ".join(loaded.cascades) or "none"
        raise NestlingError(f"name: {name!r} is no cascade of this checkpoint; there are {known}")
    wanted = [loaded.cascades[name]] if name is not None else list(loaded.cascades.values())
    apart = [each.name for each in wanted if each.guarantee and each.guarantee.by]
    if name is not None and apart:
        raise NestlingError(
            f"name: {name!r} promises the risk to groups apart, and no record says which one a "
            "text is of; calibrate it on --data"
        )
    if apart:
        progress.note(
            f"Promised to groups apart, which no record names, and as before: {', '.join(apart)}."
        )
        wanted = [each for each in wanted if each.name not in apart]
    return [to_the_ta(cascade, loaded.ta) for cascade in wanted]


def to_the_ta(cascade: Cascade, ta: Student) -> Cascade:
    """With the TA as last stage, which every record has: traffic may have come to need it."""
    from ..models.cascade.policy import Stage

    *before, last = cascade.stages
    if last.student.name == ta.name:
        return cascade
    scope = cascade.scope and replace(cascade.scope, observed=(*cascade.scope.observed, 1.0))
    return replace(cascade, stages=(*before, last, Stage(ta, 0.0, last.score)), scope=scope)


def _students(cascade: Cascade) -> list[str]:
    """Among which its stages were chosen."""
    return [stage.student.name for stage in cascade.stages]


def _target(cascade: Cascade, alpha: float | None, confidence: float | None) -> RiskTarget:
    """A promise of the drop, or of the net loss, is kept by a disagreement of at most α, but for
    what rounding costs the TA: traffic has no answers in float32."""
    from ..models.calibration.target import RiskTarget

    own = cascade.guarantee
    if alpha is None:
        alpha = own.alpha if own else MAX_DROP
    if confidence is None:
        confidence = own.confidence if own else CONFIDENCE
    return RiskTarget(alpha, confidence, "disagreement")
