"""All subcommands of `nestling`, and the options before them."""

from __future__ import annotations

from typing import Annotated

import typer

from .calibrate import calibrate
from .classify import classify
from .ending import Root
from .evaluate import evaluate
from .experiment import experiment
from .export import export
from .info import info
from .key import key
from .loadtest import loadtest
from .plan import plan
from .replay import replay
from .root import Command
from .samples import samples
from .search import search
from .serve import serve
from .train import train

app = typer.Typer(
    name="nestling",
    cls=Root,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 10_000},
)
COMMANDS = (
    serve, classify, train, search, samples, calibrate, evaluate, replay, export, info, key,
)  # fmt: skip
for command in COMMANDS:
    app.command(cls=Command)(command)
app.add_typer(experiment, name="experiment")
app.add_typer(loadtest, name="loadtest")
app.add_typer(plan, name="plan")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nestling {version('nestling')}")
        raise typer.Exit


@app.callback()
def nestling(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            callback=_version,
            is_eager=True,
            show_default=False,
        ),
    ] = False,
) -> None:
    """One checkpoint, every size: the smallest student that is sure answers."""
