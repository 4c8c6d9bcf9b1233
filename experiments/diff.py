"""What a new declaration may change of an experiment that has begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from .definition import BUCKETS, Experiment, ExperimentPlan, RampPhase
from .errors import DeclarationError, Problem

FREE = frozenset({"enrolled", "end", "guardrails"})
"""May change at any time: they move nobody between variants."""


@dataclass(frozen=True)
class Change:
    """What happens to one experiment, in words. phase: the one that begins with it, if any."""

    name: str
    words: tuple[str, ...]
    phase: RampPhase | None = None


def changed(
    old: Experiment | None, new: Experiment, now: datetime, phases: Sequence[RampPhase] = ()
) -> Change:
    """The step from one declaration of an experiment to the next.

    phases: those so far, the present one last. Before its start everything may change; while it
    runs the enrolled share, the end and the guardrails; anything else begins a phase with a name
    that was not there before. What has ended does not change. Raises DeclarationError.
    """
    if old is None:
        return Change(new.name, (f"{new.name} is new",), RampPhase(new.phase, max(now, new.start)))
    differing = tuple(
        field.name
        for field in fields(Experiment)
        if getattr(old, field.name) != getattr(new, field.name)
    )
    if not differing:
        return Change(new.name, ())
    words = tuple(_words(name, old, new) for name in differing)
    if not old.started(now):
        return Change(new.name, words, RampPhase(new.phase, max(now, new.start)))
    if old.ended(now):
        raise _refused(
            new, differing, f"{new.name!r} has ended; its record stands: declare another"
        )
    if phases and now < phases[-1].since:
        raise _refused(
            new,
            ("phase",),
            f"it is {now.isoformat()}, before {phases[-1].name!r} began at "
            f"{phases[-1].since.isoformat()}: the clock was put back",
        )
    if "start" in differing:
        raise _refused(new, ("start",), f"{new.name!r} has started already")
    if new.ended(now):
        raise _refused(new, ("end",), f"{new.end} is past; to end it now, say a moment from now")
    if new.phase != old.phase:
        if new.phase in {phase.name for phase in phases}:
            raise _refused(new, ("phase",), f"{new.phase!r} was a phase before; take another name")
        return Change(new.name, words, RampPhase(new.phase, now))
    if frozen := tuple(name for name in differing if name not in FREE):
        raise _refused(
            new,
            frozen,
            f"cannot change in the phase {old.phase!r}, which is running: give the phase a new "
            "name, and units are drawn afresh and counted apart",
        )
    return Change(new.name, words)


def changes(
    old: ExperimentPlan,
    new: ExperimentPlan,
    now: datetime,
    phases: Mapping[str, Sequence[RampPhase]],
) -> tuple[Change, ...]:
    """All steps between two plans, or none. phases: of each experiment, as for `changed`.

    An experiment that is running cannot be left out: give it an end. Raises DeclarationError with
    every problem.
    """
    problems: list[Problem] = []
    steps = []
    for experiment in old.experiments:
        if experiment.name not in new.by_name and experiment.running(now):
            problems.append(Problem(experiment.name, "is running and not declared: give it an end"))
    for experiment in new.experiments:
        before = old.by_name.get(experiment.name)
        try:
            steps.append(changed(before, experiment, now, phases.get(experiment.name, ())))
        except DeclarationError as error:
            problems += error.problems
    if problems:
        raise DeclarationError(problems)
    return tuple(step for step in steps if step.words)


def _refused(new: Experiment, names: Sequence[str], why: str) -> DeclarationError:
    return DeclarationError([Problem(f"{new.name}.{name}", why) for name in names])


def _words(name: str, old: Experiment, new: Experiment) -> str:
    if name == "enrolled":
        return f"enrolled: {old.enrolled / BUCKETS:g} to {new.enrolled / BUCKETS:g}"
    if name == "phase":
        return f"phase: {old.phase!r} to {new.phase!r}"
    if name == "end":
        return f"end: {old.end or 'open'} to {new.end or 'open'}"
    return f"{name}: changed"
