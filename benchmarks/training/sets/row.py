"""What is said of one data set: the row of the table, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nestling.models.calibration.evidence import Evidence
from nestling.models.cascade.score import Score

from .asked import Asked, asked
from .lost import accuracy_lost
from .oracle import oracle
from .origin import origin
from .passes import ALPHAS, DROP, NET, Pass
from .texts import CALIBRATION, TEST
from .tiny_saver import tiny_saver

DIGITS = 5


def trained(way: Pass, teacher: str, texts: Mapping[str, Any], anchors: bool) -> dict[str, Any]:
    """Train, calibrate and evaluate; what came of it.

    teacher: as the command gets it. texts: how many there are. anchors: whether to ask the students
    once more, for the oracle and TinySaver's rule.
    """
    ended = way.train(teacher)
    cut = way.shorten()
    losses = (DROP, NET) if anchors else (DROP,)
    none = {(loss, alpha): way.calibrate(alpha, loss) for loss in losses for alpha in ALPHAS}
    policies = way.evaluate()
    said: dict[str, Any] = {
        **origin(),
        "teacher": Path(teacher).name,
        "train": asdict(ended.spent),
        "held_out": way.manifest().provenance.get("held_out"),
        "shortened": cut,
        "students": {
            name: {"accuracy": _short(p["accuracy"]), "cost": _short(p["relative_flops"])}
            for name, p in policies.items()
            if p["kind"] != "cascade"
        },
    }
    for loss, title in ((DROP, "cascades"), (NET, "net")):
        said[title] = {
            f"{alpha:g}": _cascade(
                policies.get(f"{loss}-{alpha:g}"), texts[TEST], none[loss, alpha]
            )
            for alpha in ALPHAS
            if (loss, alpha) in none
        }
    if anchors:
        parts = {
            part: asked(way.checkpoint, way.file(part), way.folder / f"{part}.npz", way.progress)
            for part in (CALIBRATION, TEST)
        }
        both = parts[CALIBRATION].joined(parts[TEST])
        calibrated = way.manifest().cascades
        for alpha in ALPHAS:
            row = said["cascades"][f"{alpha:g}"]
            row["oracle"] = best = _oracle(parts[TEST], alpha)
            row["cost_over_oracle"] = _short(row["cost"] / best["cost"])
            row["oracle_of_all"] = best = _oracle(both, alpha)
            cascade = calibrated.get(f"{DROP}-{alpha:g}")
            seen = cascade.forecast.relative_flops if cascade and cascade.forecast else 1.0
            paid = seen * parts[CALIBRATION].ta_cost + row["cost"] * parts[TEST].ta_cost
            row["cost_over_oracle_of_all"] = _short(paid / both.ta_cost / best["cost"])
        said["tiny_saver"] = _saver(parts[CALIBRATION], parts[TEST])
    return said


def _cascade(policy: Mapping[str, Any] | None, texts: int, none: str | None) -> dict[str, Any]:
    """policy: as `nestling evaluate` has it; None where the TA answers alone, and none says why."""
    if policy is None:
        return {"cost": 1.0, "times_fewer": 1.0, **_lost(0, 0, texts), "shares": {}, "none": none}
    broken, recovered = (round(policy[each] * texts) for each in ("breakage", "recovery"))
    cost = policy["relative_flops"]
    shares = {name: _short(share) for name, share in policy["shares"].items()}
    return {
        "cost": _short(cost),
        "times_fewer": round(1 / cost, 2),
        **_lost(broken, recovered, texts),
        "shares": shares,
    }


def _oracle(test: Asked, alpha: float) -> dict[str, Any]:
    evidence: dict[Score, Evidence] = test.evidence
    best = oracle(evidence, alpha)
    return {
        "cost": _short(best.cost),
        "times_fewer": round(1 / best.cost, 2),
        "broken": _short(best.lost / evidence[best.score].texts),
        "students": [test.students[row] for row in best.stages],
    }


def _saver(calibration: Asked, test: Asked) -> dict[str, Any]:
    found = tiny_saver(calibration, test)
    return {
        "student": found.student,
        "cost": _short(found.cost),
        "times_fewer": round(1 / found.cost, 2),
        **_lost(found.broken, found.recovered, test.ahead.shape[1]),
    }


def _lost(broken: int, recovered: int, texts: int) -> dict[str, Any]:
    lost = accuracy_lost(broken, recovered, texts)
    return {
        "lost": _short(lost.share),
        "interval": [_short(lost.low), _short(lost.high)],
        "broken": _short(lost.broken),
    }


def _short(value: float) -> float:
    return round(value, DIGITS)
