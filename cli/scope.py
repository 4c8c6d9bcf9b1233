"""Options of `nestling calibrate` about texts that belong to none of the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.errors import NestlingError

if TYPE_CHECKING:
    from ..models.calibration.scope import ScopeTarget
    from ..models.cascade.policy import Cascade

KEPT = 0.95
ScopeOption = Annotated[
    float | None,
    typer.Option(
        "--scope",
        help="Share of texts with a label that each student at least lets through; one that seems "
        "to have none escalates.",
        min=1e-5,
        max=0.99999,
        show_default=f"none; {KEPT} with --out-of-scope or --abstain",
    ),
]
StrangersOption = Annotated[
    Path | None,
    typer.Option(
        help="Texts that belong to none of the labels: how many pass each stage?",
        show_default="none",
    ),
]
AbstainOption = Annotated[
    bool,
    typer.Option(
        "--abstain",
        help="Answer without a label what the TA finds out of scope, too.",
        show_default="off",
    ),
]


def scope_target(
    scope: float | None, out_of_scope: Path | None, abstain: bool
) -> ScopeTarget | None:
    """None where no option asks for scopes."""
    from ..models.calibration.scope import ScopeTarget

    if scope is None and out_of_scope is None and not abstain:
        return None
    return ScopeTarget(KEPT if scope is None else scope, abstain)


def refuse_scope(scope: float | None, out_of_scope: Path | None, abstain: bool) -> None:
    """Raises NestlingError where a calibration from records is to have scopes of its own."""
    given = {"--scope": scope, "--out-of-scope": out_of_scope, "--abstain": abstain or None}
    for option, value in given.items():
        if value is not None:
            raise NestlingError(
                f"{option}: --from-shadow keeps the scopes that a cascade has; texts with labels "
                "find new ones"
            )


def scope_sentences(cascade: Cascade) -> str:
    """What is promised of the scopes, and what was counted; nothing where there are none."""
    promise = cascade.scope
    if promise is None:
        return ""
    names = [stage.student.name for stage in cascade.stages]
    scoped = [place for place, stage in enumerate(cascade.stages) if stage.scope > 0]
    kept = ", ".join(f"{names[place]} {promise.observed[place]:.1%}" for place in scoped)
    said = "\nNo stage has a scope: the last one answers whatever reaches it."
    if scoped:
        said = (
            f"\nWith {promise.confidence:.0%} confidence each scope keeps at least "
            f"{promise.kept:.1%} of the texts of the same distribution ({promise.examples:,} texts "
            f"fixed it); of those that test: {kept}."
        )
    if cascade.abstains:
        said += f"\nWhat {names[-1]} finds out of scope is answered without a label."
    if (found := promise.out_of_scope) is not None:
        inside = ", ".join(
            f"{name} {share:.1%}" for name, share in zip(names, found.inside, strict=True)
        )
        accepted = ", ".join(
            f"{name} {share:.1%}" for name, share in zip(names, found.accepted, strict=True)
        )
        said += (
            f"\nOf {found.texts:,} texts out of scope: in the scope of {inside}; answered with a "
            f"label, each asked by itself, by {accepted}; {found.reach_last:.1%} reach "
            f"{names[-1]}, and the cascade answers {found.answered:.1%} with a label."
        )
    return said
