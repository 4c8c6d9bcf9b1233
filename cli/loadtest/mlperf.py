"""`nestling loadtest mlperf`: MLPerf's scenarios by its own load generator."""

from __future__ import annotations

from typing import Annotated

from ...loadtest.scenario import Rules, Scenario
from ...loadtest.setup import Setup
from .options import DAY, SOME, AsJson, Model, Out, option, with_setup


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
    rate: Annotated[
        float, option("Texts per second: wanted (server), expected (offline).", low=SOME, high=1e6)
    ] = (Rules.rate),
    seconds: Annotated[
        float, option("At least; MLPerf's own rules ask for 600.", low=SOME, high=DAY)
    ] = Rules.seconds,
    queries: Annotated[int, option("At least so many.", low=1, high=1_000_000_000)] = Rules.queries,
    model: Model = "auto",
    as_json: AsJson = False,
) -> None:
    """Run a scenario of MLPerf Inference; keep its verdict and its logs.

    The load generator's files stand in OUT/mlperf. A request that fails makes the result INVALID.
    """
    from ...loadtest.running import run_mlperf
    from ..progress import ProgressDisplay
    from .finish import finish

    rules = Rules(scenario, seconds, queries, rate)
    with ProgressDisplay() as progress:
        report = run_mlperf(setup, rules, model, out / "mlperf", progress)
    finish(report, out, as_json)
