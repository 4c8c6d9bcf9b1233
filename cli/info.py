"""`nestling info`: what a checkpoint holds, as a table."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.cascade.score import Score

if TYPE_CHECKING:
    from rich.table import Table

    from ..models.cascade.policy import Cascade, Stage
    from ..models.checkpoint.manifest import Manifest
    from ..models.nested.head_spec import HeadSpec

TOKENS = 16
"""Length of the text whose cost is compared."""


def info(
    checkpoint: Annotated[str, typer.Argument(help="Checkpoint directory or Hub id.")],
) -> None:
    """Show students, widths, parameters, FLOPs, thresholds and hashes."""
    from .progress import ProgressDisplay

    with ProgressDisplay() as progress:
        progress.step("starting")
        from ..models.checkpoint.manifest import calibrated_for, read_manifest
        from ..models.checkpoint.pretrained import find
        from ..models.checkpoint.weights import read_weights
        from ..models.precision import PRECISIONS
        from .console import wide_console

        manifest = read_manifest(find(checkpoint))
        progress.step("looking at the weights")
        read_weights(manifest)  # which looks at every number
    served = {precision: calibrated_for(manifest, precision) for precision in PRECISIONS}
    console = wide_console()
    console.print(_students(manifest))
    for precision, own in served.items():
        if own.cascades:
            console.print(_cascades(own, f"Cascades in {precision}"))
    if missing := [precision for precision, own in served.items() if not own.cascades]:
        console.print(
            f"No cascade yet in {', '.join(missing)}: `nestling calibrate --precision` makes one.",
            highlight=False,
        )
    console.print(_origin(manifest), highlight=False)


def _students(checkpoint: Manifest) -> Table:
    from rich.table import Table

    a = checkpoint.architecture
    table = Table(
        title=f"{checkpoint.path}: {a.family}, {_asked(a.head())}, at most {a.max_tokens} tokens",
        caption=f"FLOPs of a text of {TOKENS} tokens, and MiB read in float32. One copy of the "
        "TA's weights serves all.",
    )
    columns = ("student", "layers", "dim", "heads", "ffn", "parameters", "MiB", "MFLOPs", "of TA",
               "temperature")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "student" else "right")
    for student in checkpoint.students.values():
        spec, flops = student.spec, student.flops.of(TOKENS)
        table.add_row(
            student.name,
            _runs(spec.layers) if len(spec.layers) < a.layers else f"all {a.layers}",
            str(spec.dim),
            _runs(spec.attention_heads),
            _runs(spec.ffn),
            f"{student.parameters:,}",
            f"{student.parameters * 4 / 2**20:.1f}",
            f"{flops / 1e6:.2f}",
            f"{flops / checkpoint.ta.flops.of(TOKENS):.1%}",
            f"{student.temperature:.3f}",
        )
    return table


def _asked(head: HeadSpec) -> str:
    """What it is asked, and what it answers."""
    of = " of each pair" if head.inputs == "pair" else ""
    if head.task == "multi_label":
        return f"any of {len(head.labels)} labels{of}"
    return f"one of {len(head.labels)} labels{of}"


def _runs(numbers: tuple[int, ...]) -> str:
    """Repetitions in short: (12, 12, 4) is `12×2 4`."""
    counted = [(value, len(list(run))) for value, run in groupby(numbers)]
    return " ".join(f"{value}×{count}" if count > 1 else str(value) for value, count in counted)


def _cascades(checkpoint: Manifest, title: str) -> Table:
    from rich.table import Table

    table = Table(title=title)
    columns = ("cascade", "stages and thresholds", "promise", "observed", "examples", "FLOPs")
    for column in columns:
        table.add_column(column)
    for name, cascade in checkpoint.cascades.items():
        mark = " (auto)" if name == checkpoint.default else ""
        table.add_row(name + mark, _stages(cascade), *_promise(cascade))
    return table


def _stages(cascade: Cascade) -> str:
    return " → ".join(
        f"{stage.student.name} {_of(stage)}≥ {stage.threshold:.4f}" if stage.threshold > 0 else
        stage.student.name for stage in cascade.stages
    )  # fmt: skip


def _of(stage: Stage) -> str:
    return "margin " if stage.score is Score.MARGIN else ""


def _promise(cascade: Cascade) -> tuple[str, str, str, str]:
    guarantee, forecast = cascade.guarantee, cascade.forecast
    cost = f"{1 / forecast.relative_flops:.1f}× fewer" if forecast else ""
    if guarantee is None:
        return "none", "", "", cost
    apart = f", each {guarantee.by}" if guarantee.by is not None else ""
    return (
        f"{guarantee.loss} ≤ {guarantee.alpha:.2%} at {guarantee.confidence:.0%}{apart}",
        f"{guarantee.observed_risk:.2%}",
        f"{guarantee.examples:,} + {guarantee.ordering_examples + guarantee.held_out_examples:,}",
        cost,
    )


def _shown(value: object) -> str:
    """Numbers as they are read, with four digits; of an object its entries, nested in brackets."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if not isinstance(value, dict):
        return str(value)
    entries = (
        f"{key} ({_shown(each)})" if isinstance(each, dict) else f"{key} {_shown(each)}"
        for key, each in value.items()
        if each is not None
    )
    return ", ".join(entries)


def _origin(checkpoint: Manifest) -> str:
    lines = [f"weights    sha256 {checkpoint.weights_sha256}"]
    for name, cascade in checkpoint.cascades.items():
        if cascade.guarantee:
            lines.append(f"{name}  calibrated on sha256 {cascade.guarantee.data_sha256}")
    given = {key: value for key, value in checkpoint.provenance.items() if value is not None}
    width = max(map(len, given), default=0)
    lines += [f"{key:<{width}} {_shown(value)}" for key, value in given.items()]
    return "\n".join(lines)
