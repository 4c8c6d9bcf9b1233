"""Whose logits a command is about: options that all such commands have."""

from __future__ import annotations

from typing import Annotated

import typer

RunnerOption = Annotated[
    str | None,
    typer.Option(
        "--runner",
        help="Who computes: torch, or onnx-int8, which is --precision int8.",
        show_default="the one for the precision",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="float32, bfloat16, float16 or int8: each has thresholds of its own. The second and "
        "third are emulated where there is no GPU.",
        show_default="float32; int8 with --runner onnx-int8",
    ),
]
