"""`nestling evaluate`: accuracy against cost, as tables, pictures and JSON."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..models.errors import NestlingError

if TYPE_CHECKING:
    from ..models.evaluation import Result


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    data: Annotated[Path, typer.Option(help="Texts that nothing was fitted on: .jsonl, .csv, …")],
    out: Annotated[Path, typer.Option(help="Folder for report.json, frontier.png and .html.")],
    out_of_scope: Annotated[
        Path | None, typer.Option(help="Texts of no known label: how many reach the TA?")
    ] = None,
    sample: Annotated[int, typer.Option(help="Texts whose time is measured.", min=32)] = 1024,
    repeats: Annotated[int, typer.Option(help="Repeats of each measurement.", min=2)] = 9,
    runner: Annotated[
        str, typer.Option(help="Who computes: torch, or onnx-int8 with its own calibration.")
    ] = "torch",
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column that holds the label.")] = "label",
) -> None:
    """Measure every student and cascade: accuracy, cost, what is broken and what is mended.

    Times are of the device alone, batches of 32 texts, all policies side by side in one run.
    The numbers are also kept in the checkpoint, as report.json; those of onnx-int8 as
    report.onnx-int8.json.
    """
    import torch

    from ..models.data import label_indices, read_labelled, read_texts
    from ..models.evaluation import evaluate as run
    from ..models.frontier import draw_png, write_page
    from ..models.integrity import SCHEMA, write_hashed_json
    from ..models.manifest import REPORT, file_of
    from ..models.predictions import predict_all
    from ..models.seen import doubts_about_evaluation
    from ..server.loading import load_for

    if out.exists() and not out.is_dir():
        raise NestlingError(f"{out}: is not a folder")
    loaded, backend = load_for(checkpoint, runner)
    labelled = read_labelled(data, text_column, label_column)
    truth = torch.tensor(label_indices(labelled, loaded.architecture.labels, data))
    for doubt in doubts_about_evaluation(loaded, labelled.texts, labelled.sha256, data):
        typer.echo(f"warning: {doubt}", err=True)
    predictions = predict_all(loaded, labelled.texts, data, backend)
    unknown = None
    if out_of_scope is not None:
        texts = read_texts(out_of_scope, text_column)
        unknown = predict_all(loaded, texts, out_of_scope, backend)
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(0))[:sample]
    sequences = [predictions.sequences[row] for row in order.tolist()]
    results = run(loaded, predictions, truth, sequences, unknown, repeats, backend)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["nestling", *sys.argv[1:]]),
        "hardware": _hardware(),
        "versions": {name: version(name) for name in ("nestling", "torch", "tokenizers")}
        | {"python": platform.python_version()},
        "data": {"file": data.name, "examples": len(truth), "sha256": labelled.sha256},
        "weights_sha256": loaded.weights_sha256,
        "runner": runner,
        "timing": {"batch": 32, "texts": len(sequences), "repeats": repeats},
        "policies": [result.to_json() for result in results],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    title = f"Accuracy against cost: {loaded.path.name}, {len(truth):,} texts of {data.name}"
    draw_png(results, out / "frontier.png", title)
    write_page(results, out / "frontier.html", title)
    write_hashed_json(loaded.path / file_of(REPORT, runner), report)
    _show(results, f"{checkpoint} on {data.name}")
    typer.echo(f"{out}: report.json, frontier.png, frontier.html")
    typer.echo(json.dumps({"benchmark": "evaluate", **_summary(results)}))


def _hardware() -> dict[str, Any]:
    import os

    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x for x in info.read_text("utf-8").splitlines() if x.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }


def _summary(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """What a script reads off the last line."""
    return {
        r.name: {
            "accuracy": round(r.accuracy, 5),
            "relative_flops": round(r.relative_flops, 5),
            "relative_seconds": round(r.relative_seconds, 5),
        }
        for r in results
    }


def _show(results: Sequence[Result], title: str) -> None:
    from rich.table import Table

    from .console import wide_console

    table = Table(title=title)
    columns = ("policy", "accuracy", "macro F1", "ECE", "MFLOPs", "of TA", "ms/text", "of TA",
               "breakage", "recovery")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "policy" else "right", no_wrap=True)
    for r in results:
        spread = (r.seconds.high - r.seconds.low) / 2 * 1e3
        table.add_row(
            r.name,
            f"{r.accuracy:.2%}",
            f"{r.macro_f1:.2%}",
            f"{r.calibration_error:.2%}",
            f"{r.flops / 1e6:.2f}",
            f"{r.relative_flops:.1%}",
            f"{r.seconds.median * 1e3:.3f} ±{spread:.3f}",
            f"{r.relative_seconds:.1%}",
            f"{r.breakage:.2%}",
            f"{r.recovery:.2%}",
            end_section=r.kind == "ta",
        )
    console = wide_console()
    console.print(table)
    for r in results:
        if r.kind == "cascade":
            console.print(_sentence(r), highlight=False)


def _sentence(r: Result) -> str:
    """A cascade in one line."""
    shares = ", ".join(f"{name} {share:.1%}" for name, share in r.shares.items())
    parts = [
        f"{r.name}: {1 / r.relative_flops:.1f}× fewer FLOPs, {1 / r.relative_seconds:.1f}× less "
        f"time; accuracy drop {r.drop:+.2%}; answered by {shares}"
    ]
    if r.loss is not None and r.alpha is not None and r.confidence is not None:
        parts.append(f"observed risk {r.loss:.2%}, promised ≤ {r.alpha:.2%} at {r.confidence:.0%}")
    if r.out_of_scope is not None:
        parts.append(f"out of scope: {r.out_of_scope:.1%} reach the TA")
    return "; ".join(parts)
