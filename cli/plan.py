"""`nestling plan`: how many replicas a rate needs; `nestling plan measure`: what that rests on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .logits import RunnerOption
from .root import Command, Group
from .train import SEEDS

if TYPE_CHECKING:
    from ..capacity.plan import PlanRequest

plan = typer.Typer(cls=Group, invoke_without_command=True)


@plan.callback()
def _plan(
    context: typer.Context,
    rate: Annotated[
        str, typer.Option(help="Requests per second, the mean over the trace; several with commas.")
    ] = "1000",
    objective_ms: Annotated[
        float,
        typer.Option(
            help="Milliseconds in which 99 % of the requests are answered.",
            min=0.001,
            max=86_400_000,
        ),
    ] = 50.0,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="How the rate changes, as for nestling loadtest.", show_default="it does not"
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(help="That are simulated: of a trace, the busiest.", min=0.1, max=3600),
    ] = 20.0,
    hardware: Annotated[
        str, typer.Option(help="A profile that ships, or the file of one.")
    ] = "cpu-2-cores",
    host: Annotated[
        str | None,
        typer.Option(
            help="Of an estimate: the measured profile that it takes the rest from.",
            show_default="the one that it names",
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Directory or Hub id.", show_default="the one that ships"),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A policy; may be given several times.", show_default="ta and auto"),
    ] = None,
    headroom: Annotated[
        float,
        typer.Option(help="Share of what a replica holds that is left free.", min=0, max=0.99),
    ] = 0.2,
    spare: Annotated[
        int,
        typer.Option(
            help="Replicas more than are needed, for those that fail.", min=0, max=1_000_000
        ),
    ] = 1,
    per_machine: Annotated[
        int,
        typer.Option(
            help="Replicas on a machine: they share its GPU equally; cores, each has its own.",
            min=1,
            max=1024,
        ),
    ] = 1,
    price_per_hour: Annotated[
        float, typer.Option(help="Of a machine, in any currency.", min=0, max=1_000_000)
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of all that is left to chance.", min=0, max=SEEDS)] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else.", show_default="off")
    ] = False,
) -> None:
    """How many replicas a rate needs, and what a million requests cost: TA alone and cascade.

    Simulates one replica, its queue and its policies being the server's own code, with times that
    were measured. The highest rate that it holds is searched for.
    """
    if context.invoked_subcommand is None:
        from ..capacity.plan import PlanRequest
        from ..models.errors import NestlingError

        try:
            rates = tuple(float(part) for part in rate.split(","))
        except ValueError:
            raise NestlingError(f"rate: {rate!r} is no number, nor several with commas") from None
        request = PlanRequest(
            rates, objective_ms / 1e3, headroom, spare, price_per_hour, per_machine
        )
        _run(request, trace, seconds, hardware, host, checkpoint, model or ["ta", "auto"], seed,
             as_json)  # fmt: skip


def _run(
    request: PlanRequest,
    trace: Path | None,
    seconds: float,
    hardware: str,
    host: str | None,
    checkpoint: str | None,
    models: list[str],
    seed: int,
    as_json: bool,
) -> None:
    from ..capacity import report
    from ..capacity.plan import plan as find_plan
    from ..capacity.profile.estimate import Estimate
    from ..capacity.profile.library import find, find_measured
    from ..capacity.traffic import busiest, steady
    from ..loadtest.traffic.traces import read_trace
    from ..server.build import read_for
    from ..server.settings import Settings
    from .console import wide_console
    from .progress import ProgressDisplay
    from .serve import locate

    chosen = find(hardware)
    rest = find_measured(host or chosen.host) if isinstance(chosen, Estimate) else chosen
    manifest = read_for(locate(checkpoint), rest.computed_in)
    rest.check(manifest)
    for name in models:
        manifest.policy(name)  # which says what there is
    shape = busiest(read_trace(trace), seconds) if trace else steady(seconds)
    settings = Settings(runner=rest.runner)
    with ProgressDisplay() as progress:
        found = find_plan(manifest, settings, chosen, rest, shape, models, request, seed, progress)
    if as_json:
        typer.echo(json.dumps(report.summary(chosen, shape, request, found)))
        return
    console = wide_console()
    for line in report.heading(chosen, rest, shape, request):
        console.print(line, highlight=False, markup=False)
    console.print(report.capacities(found))
    console.print(report.deployments(found, request))
    for line in report.comparison(found):
        console.print(line, highlight=False, markup=False)


@plan.command(cls=Command)
def measure(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    data: Annotated[
        Path,
        typer.Option(
            help="JSON Lines of `text` and `label` (of pairs `text_pair`, too), like the traffic."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File of the profile.", dir_okay=False)],
    name: Annotated[
        str | None, typer.Option(help="Of the hardware.", show_default="the file's")
    ] = None,
    runner: RunnerOption = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="In which it computes: float32, bfloat16, float16 or int8.",
            show_default="int8 with --runner onnx-int8; else the device's, as served",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N.")] = "cpu",
    rounds: Annotated[
        int, typer.Option(help="Of all loads; more are steadier.", min=1, max=1000)
    ] = 4,
    seed: Annotated[int, typer.Option(help="Of all that is left to chance.", min=0, max=SEEDS)] = 0,
) -> None:
    """Measure this machine: a real server under loads of many kinds, about a minute per round.

    Needs Linux and two cores; a machine that does nothing else; and, for a client that is never
    late, the right to schedule it in real time (root). Nothing that is measured is of the texts but
    their lengths and how sure each student is of them.
    """
    from .outputs import check_file
    from .progress import ProgressDisplay

    check_file(out)
    with ProgressDisplay() as progress:
        progress.step("starting")
        from ..capacity.measuring.measure import measure as run

        found = run(
            checkpoint, data, name or out.stem, runner, precision, device, rounds, seed, progress
        )
    found.write(out)
    typer.echo(f"{out}: written")
