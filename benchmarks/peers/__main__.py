"""`python -m benchmarks.peers`: compare servers, show what a comparison found."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.texts import read_texts

from .figure import draw
from .measure import Effort
from .record import read
from .registry import SERVERS, chosen
from .session import Session
from .table import markdown, summary

app = typer.Typer(
    help="Nestling and other servers side by side.", no_args_is_help=True, add_completion=False
)
Figure = Annotated[Path | None, typer.Option(help="SVG of the knees; by default none.")]


@app.command()
def run(
    checkpoint: Annotated[Path, typer.Option(help="Directory of the checkpoint.", exists=True)],
    data: Annotated[Path, typer.Option(help="JSON Lines of `text` and `label`.")],
    out: Annotated[Path, typer.Option(help="JSON; what it has already is not measured again.")],
    cache: Annotated[
        Path, typer.Option(help="Folder of environments, models and logs, made once.")
    ] = Path("build/peers"),
    only: Annotated[
        str | None,
        typer.Option(help="With commas: " + ", ".join(server.name for server in SERVERS) + "."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Of every server, by turns.")] = Effort.repeats,
    seconds: Annotated[
        float, typer.Option(help="Of each part of a turn, at least.")
    ] = Effort.seconds,
    seed: Annotated[int, typer.Option(help="Of all that is left to chance.")] = Effort.seed,
    figure: Figure = None,
) -> None:
    """Install, start, measure and stop each server in turn; print a table, and JSON last."""
    session = Session(
        chosen(only),
        checkpoint.resolve(),
        read_texts(data),
        cache,
        Effort(repeats, seconds, seed),
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    content = session.run(out, _command(sys.argv[1:]))
    if figure:
        draw(content, figure)
    print(markdown(content))
    print(json.dumps({"benchmark": "peers", **summary(content)}))


@app.command()
def show(
    out: Annotated[Path, typer.Argument(help="JSON that `run` has written.")],
    figure: Figure = None,
) -> None:
    """Print the table of a comparison in Markdown."""
    content = read(out)
    if figure:
        draw(content, figure)
    print(markdown(content))


def _command(arguments: list[str]) -> str:
    """As another may give it: without this machine's paths."""
    names = [re.sub(r"(^|=)/.*/", r"\1", each) for each in arguments]
    return shlex.join(["python", "-m", "benchmarks.peers", *names])


def main() -> None:
    """Exit status 2, and one line, for what the user can mend."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no server is left behind
    try:
        app()
    except LoadtestError as error:
        print(f"peers: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
