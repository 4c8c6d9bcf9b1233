"""`nestling loadtest knee`: the highest rate that keeps the objective."""

from __future__ import annotations

from typing import Annotated

from ...loadtest.setup import Setup
from .options import DAY, SOME, AsJson, Model, Out, Warmup, option, with_setup


@with_setup
def knee(
    *,
    setup: Setup,
    out: Out,
    rate: Annotated[
        float, option("To begin with, requests per second.", low=SOME, high=1e6)
    ] = 100.0,
    seconds: Annotated[
        float,
        option(
            "Of each probe; longer where that would be fewer than 1,000 requests.",
            low=SOME,
            high=DAY,
        ),
    ] = 10.0,
    warmup: Warmup = 1.0,
    model: Model = "auto",
    tolerance: Annotated[
        float,
        option(
            "Relative gap between a rate that holds and one that does not, at the end.",
            low=SOME,
            high=10,
        ),
    ] = 0.05,
    tries: Annotated[
        int,
        option(
            "Probes of one rate, pooled, while chance leaves it open whether it holds.",
            low=1,
            high=1000,
        ),
    ] = 3,
    as_json: AsJson = False,
) -> None:
    """Find the highest rate at which 99 % of the requests are answered within the objective.

    Arrivals are Poisson. A request that is refused, fails or is given up was not answered in time.
    """
    from ...loadtest.knee import Search
    from ...loadtest.running import find_knee
    from ..progress import ProgressDisplay
    from .finish import finish

    search = Search(rate, seconds, tolerance, tries)
    with ProgressDisplay() as progress:
        report = find_knee(setup, search, warmup, model, progress)
    finish(report, out, as_json)
