"""One file about a calibration, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...cascade.policy import Cascade, Forecast, Guarantee
from ..choice import Choice
from ..outlook import CHANCE, Outlook, outlooks
from ..standing import GroupStanding, standings
from ..target import LOSSES
from .chart import Chart, draw

SIZES = {"wide": (880.0, 400.0), "narrow": (340.0, 320.0)}
"""Of the drawing, whose letters keep their size: the browser shows the one that has room."""
FEW_GROUPS = 10
"""That are shown at once."""


@dataclass(frozen=True)
class Found:
    """A cascade that was calibrated. students: a name for each row of the evidence."""

    cascade: Cascade
    choice: Choice
    students: Sequence[str]

    @property
    def guarantee(self) -> Guarantee:
        if self.cascade.guarantee is None:
            raise ValueError(f"cascade {self.cascade.name!r} has no guarantee")
        return self.cascade.guarantee

    @property
    def forecast(self) -> Forecast:
        if self.cascade.forecast is None:
            raise ValueError(f"cascade {self.cascade.name!r} has no forecast")
        return self.cascade.forecast

    @property
    def texts(self) -> int:
        return self.guarantee.examples + self.guarantee.ordering_examples

    @property
    def loss(self) -> str:
        """What counts as a loss, in words. Of a net risk, what is lost; the rest is won back."""
        return LOSSES["drop" if self.net else self.guarantee.loss][2:-1]

    @property
    def net(self) -> bool:
        """Whether what recovers counts too."""
        return self.guarantee.loss == "net"

    @property
    def cost(self) -> str:
        """What was minimised."""
        return "FLOPs" if self.forecast.relative_seconds is None else "time"

    @property
    def asked(self) -> list[str]:
        """The students of the path that was tested."""
        return [self.students[row] for row in self.choice.trail.rows]

    @property
    def scoped(self) -> bool:
        """Whether any stage has a scope."""
        return any(stage.scope > 0 for stage in self.cascade.stages)

    @property
    def charts(self) -> dict[str, Chart]:
        trail, alpha = self.choice.trail, self.guarantee.alpha
        return {name: draw(trail, alpha, *size) for name, size in SIZES.items()}

    @property
    def groups(self) -> list[GroupStanding]:
        return standings(self.guarantee)

    @property
    def outlooks(self) -> list[Outlook]:
        return list(outlooks(self.choice.trail, self.guarantee.alpha, self.choice.known))


def page(found: Sequence[Found], facts: dict[str, str]) -> str:
    """What one calibration found, of one cascade or of several, as HTML.

    facts: what it was made of and by, by name, in the order in which they are shown.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": _percent}
    template = environment.get_template("page.html")
    return template.render(found=found, facts=facts, chance=CHANCE, few=FEW_GROUPS)


def _percent(share: float, digits: int = 4) -> str:
    """With so many significant digits, and none that say nothing."""
    return f"{100 * share:.{digits}g} %"
