"""How TA and students stand on the held-out texts, and whether the TA is as good as its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from torch import Tensor

LEVEL = 0.05
"""Of the one-sided test."""
HELP = (
    "more steps or minutes help first (--steps, --minutes); then more texts, or texts without "
    "labels (--unlabelled); then larger students (--students), since TA and students share layers"
)


@dataclass(frozen=True)
class HeldOutVerdict:
    """right: by student, which of the held-out texts it has right, (texts,) bool. teacher: the
    same of the teacher.
    """

    right: Mapping[str, Tensor]
    teacher: Tensor

    @property
    def texts(self) -> int:
        return len(self.teacher)

    def p_value(self, ta: str) -> float:
        """Of a TA no worse than its teacher: McNemar's exact one-sided test on the texts that one
        of them alone has right (McNemar 1947).
        """
        from scipy.stats import binomtest  # heavy: no run that is refused pays for it

        lost = int((self.teacher & ~self.right[ta]).sum())
        won = int((~self.teacher & self.right[ta]).sum())
        if not lost + won:
            return 1.0
        return float(binomtest(lost, lost + won, 0.5, alternative="greater").pvalue)

    def lines(self, ta: str) -> list[str]:
        """What the user is told: accuracies with their standard errors, and a warning."""
        if not self.texts:
            return ["no texts held out: there are too few"]
        of = {"teacher": self.teacher, **self.right}
        shown = "  ".join(f"{name} {_percent(right)}" for name, right in of.items())
        lines = [f"held-out accuracy of what is written, {self.texts:,} texts: {shown}"]
        p = self.p_value(ta)
        if p < LEVEL:
            points = 100 * (_mean(self.teacher) - _mean(self.right[ta]))
            lines.append(
                f"warning: the TA is {points:.1f} points worse than its teacher, beyond noise "
                f"(p = {p:.2g}); {HELP}"
            )
        return lines

    def to_json(self, ta: str) -> dict[str, Any]:
        """For the checkpoint's provenance."""
        if not self.texts:
            return {"texts": 0}
        return {
            "texts": self.texts,
            "teacher_accuracy": round(_mean(self.teacher), 4),
            "ta_accuracy": round(_mean(self.right[ta]), 4),
            "accuracy": {name: round(_mean(right), 4) for name, right in self.right.items()},
            "p_value": round(self.p_value(ta), 4),
        }


def _mean(right: Tensor) -> float:
    return float(right.float().mean())


def _percent(right: Tensor) -> str:
    share = _mean(right)
    return f"{100 * share:.1f} ± {100 * sqrt(share * (1 - share) / len(right)):.1f} %"
