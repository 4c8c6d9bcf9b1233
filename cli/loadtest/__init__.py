"""`nestling loadtest`: its commands. What they need is imported when one runs."""

from __future__ import annotations

import typer

from ..root import Command, Group
from .compare import compare
from .knee import knee
from .mlperf import mlperf
from .run import run

loadtest = typer.Typer(cls=Group, help="Load a server over HTTP, and report what it can take.")
for command in (run, knee, mlperf, compare):
    loadtest.command(cls=Command)(command)
