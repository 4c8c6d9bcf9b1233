"""`nestling loadtest mlperf`: MLPerf's scenarios by its own load generator."""

from __future__ import annotations

from typing import Annotated

from ..scenario import Rules, Scenario
from ..setup import Setup
from .options import Model, Out, option, with_setup


@with_setup
def mlperf(
    *,
    setup: Setup,
    out: Out,
    scenario: Annotated[
        Scenario,
        option(
            "single-stream: the next text once the last is answered. offline: all at once. server: "
            "Poisson arrivals at --rate."
        ),
    ],
    rate: Annotated[float, option("Texts per second: wanted (server), expected (offline).")] = (
        Rules.rate
    ),
    seconds: Annotated[float, option("At least; MLPerf's own rules ask for 600.")] = Rules.seconds,
    queries: Annotated[int, option("At least so many.")] = Rules.queries,
    model: Model = "auto",
) -> None:
    """Run a scenario of MLPerf Inference; keep its verdict and its logs.

    The load generator's files stand in OUT/mlperf. A request that fails makes the result INVALID.
    """
    from ..running import run_mlperf
    from .finish import finish

    finish(run_mlperf(setup, Rules(scenario, seconds, queries, rate), model, out / "mlperf"), out)
