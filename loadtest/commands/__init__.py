"""`nestling loadtest`: its commands. What they need is imported when one runs."""

from __future__ import annotations

import typer

from .compare import compare
from .knee import knee
from .mlperf import mlperf
from .run import run

loadtest = typer.Typer(
    help="Load a server over HTTP, and report what it can take.", no_args_is_help=True
)
for command in (run, knee, mlperf, compare):
    loadtest.command()(command)
