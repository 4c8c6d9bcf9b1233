"""`nestling calibrate --report`: what was found, as a page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ..models.calibration.choice import Choice
    from ..models.cascade.policy import Cascade
    from ..models.checkpoint.manifest import Manifest
    from ..models.precision import Precision


def check_report(path: Path) -> None:
    """Raises NestlingError, or ModuleNotFoundError, where no page could be written."""
    import jinja2

    from .outputs import check_file

    del jinja2
    check_file(path, "--report")


def write_report(
    path: Path,
    checkpoint: Manifest,
    precision: Precision,
    data: Path,
    results: Sequence[tuple[Cascade, Choice, Sequence[str]]],
) -> None:
    """data: the texts, or the records, that all of it rests on. results: cascades as calibrated,
    how each came about, and the students among which it was chosen.
    """
    from ..models.calibration.report.page import Found, page
    from ..models.checkpoint.integrity import replace_text

    found = [Found(*result) for result in results]
    facts = {"checkpoint": str(checkpoint.path), "data": str(data)}
    for each in found:
        guarantee = each.guarantee
        said = f"{each.texts:,} {guarantee.source}, sha256 {guarantee.data_sha256}"
        if guarantee.since and guarantee.until:
            said += f", from {guarantee.since} to {guarantee.until}"
        facts[f"data of {each.cascade.name}"] = said
    facts |= {
        "method": found[0].guarantee.method,
        "weights": f"sha256 {checkpoint.weights_sha256}",
        "precision": precision,
        "version": f"nestling {version('nestling')}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["nestling", *sys.argv[1:]]),
    }
    replace_text(path, page(found, facts))
    typer.echo(f"{path}: written")
