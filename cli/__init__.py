"""The `nestling` command. One file per subcommand; heavy imports wait until one runs."""

from __future__ import annotations

import sys

import typer

from ..loadtest.commands import loadtest
from ..loadtest.errors import LoadtestError
from ..models.errors import NestlingError
from ..planning.commands import plan
from .calibrate import calibrate
from .evaluate import evaluate
from .experiment import experiment
from .export import export
from .extras import extra_with
from .info import info
from .key import key
from .replay import replay
from .serve import serve
from .train import train

app = typer.Typer(
    name="nestling",
    help="One checkpoint, every size: the smallest student that is sure answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (serve, train, calibrate, evaluate, replay, export, info, key):
    app.command()(command)
app.add_typer(experiment, name="experiment")
app.add_typer(loadtest, name="loadtest")
app.add_typer(plan, name="plan")


def main() -> None:
    """Run the command line; what the user can mend ends in one line and exit status 2."""
    try:
        app()
    except (NestlingError, LoadtestError) as error:
        print(f"nestling: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = extra_with(error.name or "")
        if extra is None:
            raise
        print(
            f"nestling: {error.name}: not installed; this command needs the extra `{extra}`: "
            f"pip install '.[{extra}]' in Nestling's source tree",
            file=sys.stderr,
        )
        sys.exit(2)
