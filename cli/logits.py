"""Whose logits a command is about: the options of all commands that ask students."""

from __future__ import annotations

from typing import Annotated

import typer

RunnerOption = Annotated[
    str | None,
    typer.Option(
        "--runner",
        help="torch, or onnx-int8, which is --precision int8.",
        show_default="the one for the precision",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="float32, bfloat16, float16 or int8: each has thresholds of its own. Where there is "
        "no GPU, bfloat16 and float16 are emulated.",
        show_default="float32; int8 with --runner onnx-int8",
    ),
]
