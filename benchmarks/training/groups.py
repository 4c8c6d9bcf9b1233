"""What a promise to all texts together leaves to the worst group, and what one to each costs.

    python -m benchmarks.training.groups CHECKPOINT --data validation.jsonl test.jsonl \\
        --groups examples/clinc150/domains.json --alpha 0.02 --examples 7500

The texts of all files are the population, and each label is of one group. Each redraw takes
`--examples` of the texts with replacement and calibrates twice: as `nestling calibrate` does, and
as it does with `--by`. FLOPs are minimised; the temperatures are the checkpoint's. Says how often
the true risk of the worst group is above α, and what both cost. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from nestling.models.calibration.choice import SCORES, RiskTarget, choose, divide
from nestling.models.calibration.groups import TextGroups
from nestling.models.errors import NestlingError

from .guarantee import above_alpha, origin
from .population import Chosen, Population, add_options, population

TOGETHER, APART = "all texts together", "each group"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--groups", type=Path, required=True, help="JSON: labels by group")
    given = parser.parse_args()
    whole = population(given)
    print(json.dumps(measured(given, whole, groups_of(whole, given.groups))))


def groups_of(whole: Population, file: Path) -> TextGroups:
    """Of every text. Raises KeyError for a label that is of no group."""
    labels = json.loads(file.read_text("utf-8"))
    group = {label: name for name, own in labels.items() for label in own}
    return TextGroups.by(file.stem, [group[label] for label in whole.classes])


def measured(given: argparse.Namespace, whole: Population, groups: TextGroups) -> dict[str, object]:
    target = RiskTarget(given.alpha, given.confidence)
    found: dict[str, list[Chosen]] = {TOGETHER: [], APART: []}
    worst: Counter[str] = Counter()
    for redraw, rows in whole.drawn(given.examples, given.redraws):
        for name, promised in ((TOGETHER, None), (APART, groups.select(rows))):
            chosen, risks = calibrated(whole, groups, rows, promised, target, redraw)
            found[name].append(replace(chosen, risk=max(risks)))
            if promised is None:
                worst[groups.names[int(np.argmax(risks))]] += 1
    above = {name: above_alpha(each, given.alpha) for name, each in found.items()}
    flops = {name: float(np.mean([one.flops for one in each])) for name, each in found.items()}
    risk = {name: float(np.mean([one.risk for one in each])) for name, each in found.items()}
    return {
        "benchmark": "groups",
        **origin(),
        "precision": given.precision,
        "population": whole.texts,
        "groups": len(groups.names),
        "examples": given.examples,
        "alpha": given.alpha,
        "delta": round(1 - given.confidence, 6),
        "redraws": given.redraws,
        "worst_group_above_alpha": {name: share for name, (share, _) in above.items()},
        "interval": {name: interval for name, (_, interval) in above.items()},
        "worst_risk": {name: round(each, 5) for name, each in risk.items()},
        "times_fewer_flops": {name: round(1 / each, 2) for name, each in flops.items()},
        "worst": dict(worst.most_common()),
        "chosen": {
            name: dict(Counter(one.how for one in each).most_common())
            for name, each in found.items()
        },
    }


def calibrated(
    whole: Population,
    groups: TextGroups,
    rows: np.ndarray,
    promised: TextGroups | None,
    target: RiskTarget,
    seed: int,
) -> tuple[Chosen, list[float]]:
    """What is found, and the true risk of each group. promised: those of the texts drawn."""
    drawn = {
        score: replace(each.select(rows), groups=promised) for score, each in whole.evidence.items()
    }
    try:
        parts = divide(len(rows), target, f"{seed:012x}", promised)
        choice = choose(drawn, drawn[SCORES[0]].cost, None, parts, target)
    except NestlingError:
        return whole.alone(), [0.0] * len(groups.names)
    true = replace(whole.evidence[choice.score], groups=groups)
    found = whole.of(choice.score, choice.rows, choice.thresholds)
    return found, whole.by_group(true, choice.rows, choice.thresholds)


if __name__ == "__main__":
    main()
