"""`nestling loadtest run`: load as told, and a report of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from ...loadtest.setup import Setup
from ...loadtest.traffic.spacing import Spacing
from .options import DAY, SOME, AsJson, Out, Warmup, option, with_setup


@with_setup
def run(
    *,
    setup: Setup,
    out: Out,
    rate: Annotated[
        str | None,
        option(
            "Requests per second: 200; in steps: 100,200,400; a ramp: 50..400. With --trace its "
            "mean.",
            "the trace's own",
        ),
    ] = None,
    seconds: Annotated[float, option("That are measured.", low=SOME, high=DAY)] = 30.0,
    warmup: Warmup = 2.0,
    arrivals: Annotated[Spacing, option("How requests lie within the rate.")] = Spacing.POISSON,
    burstiness: Annotated[
        float,
        option(
            "Of bursts: coefficient of variation of the gaps, which are Gamma; 1 is Poisson.",
            low=0.01,
            high=1000,
        ),
    ] = 4.0,
    trace: Annotated[
        Path | None,
        option(
            "Replay: moments of arrival (CSV of dates, or seconds, one per line), or one line of "
            "requests per second; .gz and .xz are read.",
            "none",
        ),
    ] = None,
    trace_begin: Annotated[
        float, option("Where to begin in the trace, in seconds.", low=0, high=1e10)
    ] = 0.0,
    trace_speed: Annotated[
        float, option("Seconds of the trace that pass in one.", low=SOME, high=1e6)
    ] = 1.0,
    model: Annotated[
        list[str] | None,
        option(
            "Which to ask for, where the protocol names it; given several times, all take turns, "
            "for a picture of cost against accuracy.",
            "auto",
        ),
    ] = None,
    faults: Annotated[
        str,
        option(
            "Shares of clients that misbehave: slow=0.01,disconnect=0.01,malformed=0.01.", "none"
        ),
    ] = "",
    slow_seconds: Annotated[
        float, option("That a slow client takes to send.", low=SOME, high=DAY)
    ] = Setup.slow_seconds,
    repeats: Annotated[
        int, option("Of the run; `compare` wants two or more.", low=1, high=10_000)
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Send requests at given moments, whether or not earlier ones are answered.

    Latency counts from the moment at which a request was to be sent. A run in which the client
    itself was late is refused.
    """
    from ...loadtest.running import Traffic
    from ...loadtest.running import run as start
    from ...loadtest.traffic.mix import parse_shares
    from ...loadtest.traffic.traces import read_trace
    from ..progress import ProgressDisplay
    from .finish import finish

    setup = replace(
        setup,
        faults=parse_shares("faults", faults) if faults else {},
        slow_seconds=slow_seconds,
    )
    recorded = read_trace(trace) if trace else None
    traffic = Traffic(
        rate, seconds, warmup, arrivals, burstiness, recorded, trace_begin, trace_speed
    )
    with ProgressDisplay() as progress:
        report = start(setup, traffic, model or ["auto"], repeats, progress)
    finish(report, out, as_json)
