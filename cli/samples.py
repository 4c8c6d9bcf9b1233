"""`nestling samples`: before texts are collected, how many a promise takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .calibrated import CONFIDENCE, MAX_DROP

if TYPE_CHECKING:
    from ..models.calibration.samples import Sample


def samples(
    max_drop: Annotated[
        float | None,
        typer.Option(
            help="The risk that shall be promised, α.",
            min=1e-5,
            max=0.99999,
            show_default=f"{MAX_DROP}; with --texts the least that they can promise",
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(help="Probability with which it is kept, 1 − δ.", min=1e-5, max=0.99999),
    ] = CONFIDENCE,
    expected: Annotated[
        float | None,
        typer.Option(
            help="True risk of the cascade that shall pass: how many losses to expect.",
            min=0.0,
            max=0.99999,
            show_default="half of the risk that is promised",
        ),
    ] = None,
    texts: Annotated[
        int | None,
        typer.Option(
            help="What so many texts can promise.", min=1, max=10_000_000, show_default="none"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the table as JSON.", show_default="off")
    ] = False,
) -> None:
    """How many texts a promise takes, or what a number of texts can promise. Needs no data.

    Texts are counted as `nestling calibrate` splits them without texts held out of training: those
    that order the tests, and those that test. Where a checkpoint has held-out ones, fewer may do.
    With both --max-drop and --texts: the chance that this promise passes with them.
    """
    if texts is None:
        alpha = MAX_DROP if max_drop is None else max_drop
        title = f"Texts that it takes to promise a risk of at most {_percent(alpha)}"
        rows = list(_texts_for(alpha, confidence, expected))
    elif max_drop is None:
        title = f"The least risk that {texts:,} texts can promise"
        rows = list(_promises_of(texts, confidence, expected))
    else:
        title = f"{texts:,} texts, to promise a risk of at most {_percent(max_drop)}"
        rows = [_chance_of(texts, max_drop, confidence, expected)]
    if as_json:
        found = {"confidence": confidence, "rows": [row.to_json() for row in rows]}
        typer.echo(json.dumps(found))
    else:
        _show(rows, f"{title} with {_percent(confidence)} confidence")


@dataclass(frozen=True)
class _Row:
    """condition: what must come true; None where its chance was asked for. alpha: that is promised;
    None if there is none. texts: None if it takes more than may be. sample: None in both cases."""

    condition: str | None
    alpha: float | None
    true_risk: float | None
    texts: int | None
    sample: Sample | None

    def to_json(self) -> dict[str, Any]:
        own: dict[str, Any] = {
            "condition": self.condition,
            "max_drop": self.alpha,
            "expected": self.true_risk,
            "texts": self.texts,
        }
        if self.sample is None or self.true_risk is None:
            return own
        return own | {
            "ordering": self.sample.ordering,
            "testing": self.sample.testing,
            "losses_allowed": self.sample.allowed,
            "chance": self.sample.chance(self.true_risk),
        }

    def cells(self) -> list[str]:
        risks = ["" if risk is None else _percent(risk) for risk in (self.alpha, self.true_risk)]
        if self.sample is None or self.true_risk is None:
            return [self.condition or "", *risks, f"{self.texts:,}" if self.texts else "too many"]
        own = self.sample
        sizes = [f"{size:,}" for size in (own.texts, own.ordering, own.testing, own.allowed)]
        return [self.condition or "these", *risks, *sizes, f"{own.chance(self.true_risk):.1%}"]


def _texts_for(alpha: float, confidence: float, expected: float | None) -> Iterator[_Row]:
    from ..models.calibration.samples import CONDITIONS, fewest_texts

    true_risk = alpha / 2 if expected is None else expected
    for name, condition in CONDITIONS.items():
        found = fewest_texts(condition, true_risk, alpha, confidence)
        yield _Row(name, alpha, true_risk, found.texts if found else None, found)


def _promises_of(texts: int, confidence: float, expected: float | None) -> Iterator[_Row]:
    """Whether no text is lost does not depend on what is expected, and so may promise less."""
    from ..models.calibration.samples import CONDITIONS, least_risk, without_loss

    for name, condition in CONDITIONS.items():
        asked = 0.0 if condition is without_loss else expected
        found = least_risk(condition, asked, texts, confidence)
        true_risk = found.alpha / 2 if expected is None and found else expected
        yield _Row(name, found.alpha if found else None, true_risk, texts, found)


def _chance_of(texts: int, alpha: float, confidence: float, expected: float | None) -> _Row:
    from ..models.calibration.choice import check_enough
    from ..models.calibration.samples import check_expected, sample
    from ..models.calibration.target import RiskTarget

    true_risk = alpha / 2 if expected is None else expected
    check_expected(true_risk, alpha, confidence)
    check_enough(texts, RiskTarget(alpha, confidence))
    return _Row(None, alpha, true_risk, texts, sample(texts, alpha, confidence))


def _show(rows: list[_Row], title: str) -> None:
    from rich.table import Table

    from .console import wide_console

    table = Table(
        title=title,
        caption="Chance: that a cascade of this true risk passes the test, exact. One that does "
        "not pass is not served. Counted without texts held out of training.",
    )
    columns = ("it passes with", "promised", "true risk", "texts", "they order", "they test",
               "losses allowed", "chance")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*row.cells())
    wide_console().print(table)


def _percent(share: float) -> str:
    """As many digits as it takes, to six."""
    return f"{100 * share:.6g}%"
