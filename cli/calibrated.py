"""What both ways to calibrate have in common: their defaults, and how they show what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models.calibration.choice import Choice
    from ..models.cascade.policy import Cascade, Guarantee
    from ..models.checkpoint.manifest import Manifest

MAX_DROP, CONFIDENCE = 0.005, 0.95


def show(checkpoint: Manifest, cascade: Cascade, choice: Choice) -> None:
    """A table of the stages, and what is promised of them."""
    from rich.table import Table

    from .console import wide_console
    from .scope import scope_sentences

    guarantee, forecast = cascade.guarantee, cascade.forecast
    if guarantee is None or forecast is None:
        raise RuntimeError("a calibrated cascade has a guarantee and a forecast")
    table = Table(title=f"{checkpoint.path}: cascade {cascade.name}")
    scoped = cascade.scope is not None
    in_scope = ("in scope from",) if scoped else ()
    for column in ("stage", "accepts from", *in_scope, "temperature", "answers"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage, share in zip(cascade.stages, forecast.shares, strict=True):
        threshold = f"{stage.threshold:.4f}" if stage.threshold > 0 else "always"
        temperature = f"{stage.student.temperature:.3f}"
        scope = (f"{stage.scope:.4f}" if stage.scope > 0 else "always",) if scoped else ()
        table.add_row(stage.student.name, threshold, *scope, temperature, f"{share:.1%}")
    costs = [f"{1 / forecast.relative_flops:.1f}× fewer FLOPs"]
    if forecast.relative_seconds is not None:
        costs.append(f"{1 / forecast.relative_seconds:.1f}× less time by the profile")
    against = f" against the TA in {guarantee.reference}" if guarantee.reference else ""
    net = guarantee.loss == "net"
    counted = f"{choice.losses} losses" + (f", {choice.recovered} recoveries" if net else "")
    given = f"{choice.allowed} losses" if net else f"{choice.allowed}"
    limit, promised = f" ({given} allowed)", ""
    if guarantee.by is not None:
        limit, promised = "", f", in each of the {len(guarantee.groups)} groups by {guarantee.by}"
    console = wide_console()
    console.print(table)
    console.print(
        f"Thresholds are of the {cascade.stages[0].score}.\n"
        f"Expected cost against the TA alone: {', '.join(costs)}.\n"
        f"Observed risk ({guarantee.loss}{against}): {guarantee.observed_risk:.2%}, {counted} "
        f"in {guarantee.examples:,} texts{limit}; {_ordering(guarantee)} ordered the tests.\n"
        f"With {guarantee.confidence:.0%} confidence it is at most {guarantee.alpha:.2%} on data "
        f"of the same distribution{promised}.{scope_sentences(cascade)}",
        highlight=False,
    )


def _ordering(guarantee: Guarantee) -> str:
    held_out = f"{guarantee.held_out_examples:,} texts held out of training"
    if not guarantee.held_out_examples:
        return f"{guarantee.ordering_examples:,} texts"
    if not guarantee.ordering_examples:
        return held_out
    return f"{held_out}, and {guarantee.ordering_examples:,} others,"
