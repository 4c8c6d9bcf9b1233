"""What to make of it all, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf

from ..definition import Experiment
from ..metrics import Better, Kind
from .lift import Lift
from .mean import MINIMUM_EVENTS, MINIMUM_UNITS, Interval
from .missing import FAILURES, PAIRS, Attrition
from .mixture import Mixture
from .numbers import about, amount, bare, difference
from .sample_ratio import ALPHA

MUCH = 0.1
"""Of all outcomes; where more are missing, a sentence says so."""


class Conclusion(StrEnum):
    SAMPLE_RATIO = "sample_ratio"
    FAILURES = "failures"
    ATTRITION = "attrition"
    ALL_STOPPED = "all_stopped"
    WINNER = "winner"
    CONTROL = "control"
    NO_DIFFERENCE = "no_difference"
    KEEP_RUNNING = "keep_running"


@dataclass(frozen=True)
class Verdict:
    """sentence: the whole of it. winner: the variant to keep, if any. more_units: expected until
    the interval is as narrow as the smallest effect; None where more units are not the point.
    """

    outcome: Conclusion
    sentence: str
    winner: str | None = None
    more_units: int | None = None


def comparison(experiment: Experiment) -> Mixture:
    """The line for each treatment against control: α is shared out between them (Bonferroni)."""
    compared = len(experiment.treatments)
    share = experiment.paired if experiment.compares_pairs else 1
    best_at = experiment.planned_units * 2 / (1 + compared) * share
    return Mixture((1 - experiment.confidence) / compared, max(1, best_at))


def verdict(
    experiment: Experiment,
    sample_ratio_p: float,
    lifts: Mapping[str, Lift],
    stopped: Mapping[str, str],
    units: int,
    missing: Sequence[Attrition] = (),
) -> Verdict:
    """lifts: of the primary metric by treatment, made with `comparison(experiment)`. stopped: why,
    by variant. units: those that the lifts rest on, together. missing: what was tested for it.
    """
    if sample_ratio_p < ALPHA:
        return Verdict(
            Conclusion.SAMPLE_RATIO,
            "no verdict: the variants do not have the numbers of units that their weights say "
            f"(p = {sample_ratio_p:.2g}); find out which units are missing before reading any "
            "number",
        )
    if unequal := [each for each in missing if each.found]:
        return _blocked(experiment, unequal[0])
    found = _of_lifts(experiment, lifts, stopped, units)
    compared = PAIRS if experiment.compares_pairs else experiment.primary.name
    lacks = [each.missing for each in missing if each.metric == compared and each.missing > MUCH]
    if lacks and found.outcome in (Conclusion.WINNER, Conclusion.CONTROL, Conclusion.NO_DIFFERENCE):
        much = amount(lacks[0], Kind.RATE)
        mind = (
            f"mind that {much} of the outcomes are missing, of which an unequal few would not show"
        )
        return replace(found, sentence=f"{found.sentence}; {mind}")
    return found


def _of_lifts(
    experiment: Experiment, lifts: Mapping[str, Lift], stopped: Mapping[str, str], units: int
) -> Verdict:
    left = {name: lift for name, lift in lifts.items() if name not in stopped}
    if not left:
        control = experiment.control.name
        return Verdict(
            Conclusion.ALL_STOPPED, f"keep {control!r}: {'; '.join(stopped.values())}", control
        )
    if better := {n: lift for n, lift in left.items() if _side(experiment, lift.interval) > 0}:
        up = experiment.primary.better is Better.HIGHER
        best = max(better, key=lambda n: better[n].estimate if up else -better[n].estimate)
        words = _in_words(experiment, better[best])
        return Verdict(Conclusion.WINNER, f"{best!r} is better than control: {words}", best)
    if all(_side(experiment, lift.interval) < 0 for lift in left.values()):
        control = experiment.control.name
        words = "; ".join(f"{n!r} {_in_words(experiment, lift)}" for n, lift in left.items())
        return Verdict(
            Conclusion.CONTROL, f"keep {control!r}: every variant is worse: {words}", control
        )
    if all(_within(lift.interval, experiment.smallest_effect) for lift in left.values()):
        limit = difference(experiment.smallest_effect, experiment.primary.kind)
        words = "; ".join(f"{n!r} {_in_words(experiment, lift)}" for n, lift in left.items())
        return Verdict(Conclusion.NO_DIFFERENCE, f"no difference as large as {limit}: {words}")
    return _keep_running(experiment, left, units)


def _blocked(experiment: Experiment, unequal: Attrition) -> Verdict:
    variants = (unequal.treatment or "", experiment.control.name)
    seen = [unequal.coverage[name] for name in variants]
    whose = [
        f"{each.shares.n:,} units of {name!r}" for name, each in zip(variants, seen, strict=True)
    ]
    shares = [each.shares.mean for each in seen]
    if unequal.metric == FAILURES:
        first, second = (amount(1 - share, Kind.RATE) for share in shares)
        return Verdict(
            Conclusion.FAILURES,
            "no verdict: the variants do not fail alike: of the requests of the "
            f"{whose[0]} {first} failed, of the {whose[1]} {second} (p = {unequal.p:.2g} at the "
            f"last look, after {unequal.observed:,} answers); what failed is in no comparison, so "
            "find out why before reading any number",
        )
    first, second = (amount(share, Kind.RATE) for share in shares)
    pairs = unequal.metric == PAIRS
    what, them = (
        ("a pair", "pairs") if pairs else (f"an outcome for {unequal.metric!r}", "outcomes")
    )
    several = "" if all(each.requests == each.shares.n for each in seen) else "requests of the "
    return Verdict(
        Conclusion.ATTRITION,
        f"no verdict: outcomes are missing unequally: of the {several}{whose[0]} {first} have "
        f"{what}, of the {whose[1]} {second} (p = {unequal.p:.2g} at the last look, after "
        f"{unequal.observed:,} {them}); find out which are missing before reading any number",
    )


def _keep_running(experiment: Experiment, left: Mapping[str, Lift], units: int) -> Verdict:
    if not all(lift.interval for lift in left.values()):
        return Verdict(
            Conclusion.KEEP_RUNNING,
            f"keep running: nothing can be said before each variant has {MINIMUM_UNITS} units, not "
            f"all of one value, and of a rate {MINIMUM_EVENTS} of what is rarer",
        )
    kind, smallest = experiment.primary.kind, experiment.smallest_effect
    needed = max(
        comparison(experiment).units(smallest, lift.spread) / lift.units for lift in left.values()
    )
    words = "; ".join(f"so far {n!r} {_in_words(experiment, lift)}" for n, lift in left.items())
    if needed == inf:
        return Verdict(
            Conclusion.KEEP_RUNNING,
            f"keep running: ±{difference(smallest, kind)} is out of reach; {words}",
        )
    more = about(max(0.0, needed - 1) * units)
    return Verdict(
        Conclusion.KEEP_RUNNING,
        f"keep running: {more:,} more units expected for ±{difference(smallest, kind)}; {words}",
        more_units=more,
    )


def _side(experiment: Experiment, interval: Interval | None) -> int:
    """1: proven better. −1: proven worse. 0: neither."""
    if interval is None or 0 in interval:
        return 0
    higher = interval.low > 0
    return 1 if higher == (experiment.primary.better is Better.HIGHER) else -1


def _within(interval: Interval | None, limit: float) -> bool:
    return interval is not None and -limit < interval.low and interval.high < limit


def _in_words(experiment: Experiment, lift: Lift) -> str:
    kind = experiment.primary.kind
    words = difference(lift.estimate, kind, "+")
    if lift.interval is None:
        return words
    low, high = (bare(end, kind) for end in (lift.interval.low, lift.interval.high))
    return f"{words} ({low} to {high})"
