"""`nestling loadtest knee`: the highest rate that keeps the objective."""

from __future__ import annotations

from typing import Annotated

import typer

from ..setup import Setup
from .options import Model, Out, Warmup, option, with_setup


@with_setup
def knee(
    *,
    setup: Setup,
    out: Out,
    rate: Annotated[float, option("To begin with, requests per second.")] = 100.0,
    seconds: Annotated[
        float, option("Of each probe; longer where that would be fewer than 1,000 requests.")
    ] = 10.0,
    warmup: Warmup = 1.0,
    model: Model = "auto",
    tolerance: Annotated[
        float,
        option("Relative gap between a rate that holds and one that does not, at the end."),
    ] = 0.05,
    tries: Annotated[
        int,
        option("Probes of one rate, pooled, while chance leaves it open whether it holds."),
    ] = 3,
) -> None:
    """Find the highest rate at which 99 % of the requests are answered within the objective.

    Arrivals are Poisson. A request that is refused, fails or is given up was not answered in time.
    """
    from ..knee import Search
    from ..running import find_knee
    from .finish import finish

    search = Search(rate, seconds, tolerance, tries)
    finish(find_knee(setup, search, warmup, model, typer.echo), out)
