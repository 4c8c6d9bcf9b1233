"""What datasets.json says of the targets, as rows of targets.json.

    python -m benchmarks.training.sets.targets

Replaces the rows of this comparison in docs/benchmarks/targets.json, leaves all others as they are,
and prints a line per target. A target over all sets is met when all of them are measured and meet
it; `limited_by` names those that do not.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from nestling.models.checkpoint.integrity import replace_text

from ...markup import MEASURED, measured
from .lost import Z
from .passes import ALPHAS
from .registry import ENOUGH, INTENTS, QUESTIONS, SETS
from .tables import Row, held_out

COMMAND = "python -m benchmarks.training.datasets"
TARGETS = MEASURED / "targets.json"
BELOW = 0.003
"""By so much the TA may be less accurate than its teacher, and by noise."""
LEVEL = 0.05
"""From so large a p-value on, a difference may be noise."""
OVER_ORACLE = 1 / 0.75


@dataclass(frozen=True)
class Target:
    """of: a set's number, None where it has none. summary: the number that is held against the
    target. meets: of a set's row and number, whether it meets it; None where only the summary does.
    """

    figure: str
    unit: str
    target: str
    of: Callable[[Row], float | None]
    summary: Callable[[Sequence[float]], float]
    meets: Callable[[Row, float], bool] | None
    sets: tuple[str, ...]
    least: float | None = None


def targets() -> list[Target]:
    """All of them, in the order in which they are shown."""
    every = tuple(SETS)
    teacher = Target(
        "TA against its teacher, held-out texts, worst set",
        "points of accuracy",
        "at least -0.3, within noise",
        _ahead_of_teacher,
        min,
        _within_noise,
        every,
    )
    median = Target(
        "fewer FLOPs at 1 %, all sets, the median",
        "times",
        "at least 6",
        _fewer,
        statistics.median,
        None,
        every,
        least=6.0,
    )
    time = Target(
        "CPU time of training against the version before, side by side, worst set",
        "ratio",
        "at most 0.5",
        _time_over_before,
        max,
        lambda row, ratio: ratio <= 0.5,
        every,
    )
    result = Target(
        "TA's accuracy on test against the version before, worst set",
        "points of accuracy",
        "at least 0, within noise",
        _ahead_of_before,
        min,
        lambda row, points: points / 100 >= -_noise(_ta(row, "before"), row["texts"]["test"]),
        every,
    )
    kept, costs = map(_kept, ALPHAS), map(_beside_oracle, ALPHAS)
    saved = (_saved("intent sets", INTENTS, 8.0), _saved("TREC", QUESTIONS, 5.0))
    return [teacher, *kept, *costs, *saved, median, time, result]


def _kept(alpha: float) -> Target:
    return Target(
        f"accuracy lost on test by the {100 * alpha:g} % cascade, worst set",
        "points of accuracy",
        f"at most {100 * alpha:g}, within the interval of each set",
        lambda row: 100 * float(_cascade(row, alpha)["lost"]),
        max,
        lambda row, lost: bool(_cascade(row, alpha)["interval"][0] <= alpha),
        tuple(SETS),
    )


def _beside_oracle(alpha: float) -> Target:
    return Target(
        f"cost of the {100 * alpha:g} % cascade over the oracle's of calibration and test, worst "
        f"set of at least {ENOUGH:,} calibration texts",
        "ratio",
        f"at most {OVER_ORACLE:.3f}",
        lambda row: _over_oracle(row, alpha),
        max,
        lambda row, ratio: ratio <= OVER_ORACLE,
        tuple(SETS),
    )


def _saved(words: str, kind: str, least: float) -> Target:
    return Target(
        f"fewer FLOPs at 1 %, {words}, the least",
        "times",
        f"at least {least:g}",
        _fewer,
        min,
        lambda row, times: times >= least,
        tuple(name for name, each in SETS.items() if each.kind == kind),
    )


def judged(target: Target, rows: Sequence[Row]) -> dict[str, Any]:
    """A row of targets.json."""
    own = [row for row in rows if row["set"] in target.sets and row.get("now")]
    numbers = {row["set"]: target.of(row) for row in own}
    known = {name: value for name, value in numbers.items() if value is not None}
    said: dict[str, Any] = {
        "figure": target.figure,
        "unit": target.unit,
        "target": target.target,
        "measured": None,
        "spread": None,
        "met": False,
        "command": COMMAND,
    }
    if not known:
        return said | {"date": None, "machine": None, "limited_by": "not measured"}
    value = target.summary(list(known.values()))
    missing = [name for name in target.sets if name not in known]
    short = [
        row["set"]
        for row in own
        if row["set"] in known and target.meets and not target.meets(row, known[row["set"]])
    ]
    enough = target.least is None or value >= target.least
    latest = max((row["now"] for row in own), key=lambda each: str(each["date"]))
    said |= {
        "measured": round(value, 3),
        "spread": [round(min(known.values()), 3), round(max(known.values()), 3)],
        "met": not missing and not short and enough,
        "date": latest["date"],
        "machine": latest["machine"],
    }
    reasons = []
    if short:
        reasons.append("missed by " + ", ".join(f"{name} ({known[name]:.2f})" for name in short))
    if not enough:
        low = sorted(known, key=lambda name: known[name])[: len(known) // 2]
        reasons.append("lowest: " + ", ".join(f"{name} ({known[name]:.2f})" for name in low))
    if missing:
        reasons.append("not measured: " + ", ".join(missing))
    return said | ({"limited_by": "; ".join(reasons)} if reasons else {})


def _cascade(row: Row, alpha: float) -> Row:
    found: Row = row["now"]["cascades"][f"{alpha:g}"]
    return found


def _ahead_of_teacher(row: Row) -> float | None:
    held = held_out(row)
    return 100 * (held["ta_accuracy"] - held["teacher_accuracy"]) if held else None


def _within_noise(row: Row, points: float) -> bool:
    """Or training's own test on the texts that one of them alone has right finds no difference."""
    return points / 100 >= -BELOW or held_out(row).get("p_value", 0.0) >= LEVEL


def _noise(accuracy: float, texts: int) -> float:
    """As far as two accuracies differ by chance at 95 %, were their texts drawn apart."""
    return Z * sqrt(2 * accuracy * (1 - accuracy) / texts)


def _ta(row: Row, way: str) -> float:
    accuracy: float = row[way]["students"]["ta"]["accuracy"]
    return accuracy


def _ahead_of_before(row: Row) -> float | None:
    return 100 * (_ta(row, "now") - _ta(row, "before")) if row.get("before") else None


def _over_oracle(row: Row, alpha: float) -> float | None:
    """None for a set of too few texts to ask it of, counted before unknown labels were left out."""
    count = row["texts"]
    if count["calibration"] + count["unknown"]["calibration"] < ENOUGH:
        return None
    ratio: float = _cascade(row, alpha)["cost_over_oracle_of_all"]
    return ratio


def _fewer(row: Row) -> float:
    times: float = _cascade(row, 0.01)["times_fewer"]
    return times


def _time_over_before(row: Row) -> float | None:
    if not row.get("before"):
        return None
    now, before = (row[way]["train"]["cpu_seconds"] for way in ("now", "before"))
    return float(now / before) if now and before else None


def main() -> None:
    others = [each for each in json.loads(TARGETS.read_text("utf-8")) if each["command"] != COMMAND]
    rows = measured("datasets")["sets"]
    own = [judged(target, rows) for target in targets()]
    replace_text(TARGETS, json.dumps([*others, *own], indent=1, ensure_ascii=False) + "\n")
    for each in own:
        print(json.dumps(each, ensure_ascii=False))


if __name__ == "__main__":
    main()
