"""`nestling experiment`: what the record of an experiment says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..models.errors import NestlingError
from .root import Command, Group

if TYPE_CHECKING:
    from rich.table import Table

    from ..experiments.analysis import Analysis
    from ..experiments.definition import Experiment
    from ..experiments.statistics.mean import Interval
    from ..experiments.statistics.report import VariantReport

DEFAULT = "sqlite:///nestling.db"
experiment = typer.Typer(cls=Group, help="What the record of an experiment says.")


@experiment.callback()
def _group() -> None:
    """So that `report` is named even while it is the only one."""


@experiment.command(cls=Command)
def report(
    name: Annotated[str, typer.Argument(help="Of the experiment.")],
    store: Annotated[
        str, typer.Option(help="Database of experiments.", envvar="NESTLING_STORE")
    ] = DEFAULT,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead.", show_default="off")
    ] = False,
) -> None:
    """The numbers of an experiment's present phase, and a verdict in plain words."""
    import orjson

    from ..experiments.analysis import analyse
    from ..experiments.apply import plan_of
    from ..experiments.store.database import read_database, transaction
    from ..experiments.store.plans import latest_plan, stopped
    from .console import wide_console

    with transaction(read_database(store)) as connection:
        plan = plan_of(latest_plan(connection))
        if name not in plan.by_name:
            known = ", ".join(sorted(plan.by_name))
            raise NestlingError(
                f"name: {name!r} is none of {known}" if known else
                f"name: {name!r}: no experiment is declared in this database"
            )  # fmt: skip
        chosen = plan[name]
        why = stopped(connection).get((chosen.name, chosen.phase), {})
        analysis = analyse(connection, chosen, why)
    if as_json:
        typer.echo(orjson.dumps(analysis).decode())
        return
    console = wide_console()
    console.print(_table(chosen, analysis))
    for variant in analysis.report.variants:
        if variant.stopped:
            console.print(variant.stopped, highlight=False)
    console.print(analysis.report.verdict.sentence, highlight=False)


def _table(experiment: Experiment, analysis: Analysis) -> Table:
    from rich.table import Table

    found = analysis.report
    missing = ", ".join(f"{each.metric} p = {each.p:.4g}" for each in found.attrition)
    table = Table(
        title=f"{experiment.name}, phase {found.phase}: {experiment.primary.name} by "
        f"{experiment.unit}",
        caption=f"Intervals hold at {experiment.confidence:.0%}, however often one looks. Sample "
        f"ratio: p = {found.sample_ratio_p:.4g}. Missing alike: {missing}. Crossed units: "
        f"{analysis.crossed:,}.",
    )
    columns = ("variant", "enrolled", "units", "mean", "lift", "p", "p50 ms", "p99 ms",
               "cost per 1,000", "escalated", "errors")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "variant" else "right")
    for variant in found.variants:
        table.add_row(*_row(variant))
    return table


def _row(variant: VariantReport) -> list[str]:
    latency = {round(100 * each.at): each.value for each in variant.latency}
    change = variant.pairs or variant.lift
    if change and change.interval is None:
        change = None  # too few units to say anything
    return [
        variant.name,
        f"{variant.enrolled:,}",
        f"{variant.units:,}",
        "" if variant.mean is None else f"{variant.mean:.4g}{_between(variant.interval)}",
        "" if change is None else f"{change.estimate:+.4g}{_between(change.interval)}",
        "" if change is None else f"{change.p_value:.3g}",
        *(f"{latency[p]:.1f}" if p in latency else "" for p in (50, 99)),
        *(
            "" if value is None else form.format(value)
            for value, form in (
                (variant.cost_per_1000, "{:.4g}"),
                (variant.escalation_rate, "{:.1%}"),
                (variant.error_rate, "{:.2%}"),
            )
        ),
    ]


def _between(interval: Interval | None) -> str:
    return f"\n{interval.low:.4g} to {interval.high:.4g}" if interval else ""
