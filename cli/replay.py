"""`nestling replay`: what another policy would have answered to recorded traffic, and cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..models.errors import DataError, NestlingError
from .logits import PrecisionOption, RunnerOption, of_records

if TYPE_CHECKING:
    from rich.table import Table

    from ..models.calibration.records import Damaged, ShadowRecord
    from ..models.cascade.policy import Cascade
    from ..models.checkpoint.manifest import Manifest
    from ..models.evaluation.replay import Range, Replayed
    from ..models.precision import Precision

SHOWN = 5
"""Lines at fault that the table names; `--json` has them all."""


def replay(
    checkpoint: Annotated[str, typer.Argument(help="Checkpoint directory or Hub id.")],
    log: Annotated[Path, typer.Option(help="What `nestling serve --shadow-log` has written.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="A cascade, a student or auto; may be given several times.", show_default="all"
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            help="In place of the policy's own: 0.9,0.8, one per stage but the last.",
            show_default="the policy's own",
        ),
    ] = None,
    runner: RunnerOption = None,
    precision: PrecisionOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else.", show_default="off")
    ] = False,
) -> None:
    """Answer recorded traffic by other policies, without asking any student again.

    Every number is a range where the log leaves a doubt. What no log can tell is said below.
    """
    from .progress import ProgressDisplay

    with ProgressDisplay() as progress:
        progress.step("starting")  # what is imported from here on takes seconds
        from ..models.checkpoint.pretrained import find
        from ..models.evaluation.replay import as_served
        from ..models.evaluation.replay import replay as follow

        manifest, wanted = of_records(find(checkpoint), log, runner, precision)
        policies = _policies(manifest, policy, thresholds)
        progress.step(f"reading {log}")
        found = _read(log, manifest, wanted)
        if not found.usable:
            raise DataError(f"{log}: no record that can be used{found.complaint}")
        head = manifest.architecture.head()
        labels = len(head.labels) if head.task == "single_label" else None
        results = [as_served(found.usable, manifest.students)]
        for done, each in enumerate(policies):
            progress.step("replaying policies", done, len(policies))
            results.append(follow(each, found.usable, manifest.students, labels))
    if as_json:
        typer.echo(json.dumps(_report(manifest, log, found, results), indent=1))
    else:
        _show(log, found, results)


@dataclass
class _Found:
    """usable: of these weights, computed in this precision. refused: how many others, by why."""

    usable: list[ShadowRecord] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    damaged: list[Damaged] = field(default_factory=list)

    @property
    def complaint(self) -> str:
        """What cannot be used, for the end of a sentence."""
        parts = [f"; {count:,} {why}" for why, count in sorted(self.refused.items())]
        if self.damaged:
            parts.append(f"; {len(self.damaged):,} damaged: {self.damaged[0]}")
        return "".join(parts)


def _read(log: Path, manifest: Manifest, precision: Precision) -> _Found:
    from ..models.calibration.records import Damaged, read_lines

    found = _Found()
    for record in read_lines(log):
        if isinstance(record, Damaged):
            found.damaged.append(record)
        elif record.weights_sha256 != manifest.weights_sha256:
            found.refused["of other weights"] += 1
        elif record.precision != precision:
            found.refused[f"computed in {record.precision}"] += 1
        elif not manifest.students.keys() >= {stage.student for stage in record.stages}:
            found.refused["of students that are not there any more"] += 1
        else:
            found.usable.append(record)
    return found


def _policies(
    manifest: Manifest, names: Sequence[str] | None, thresholds: str | None
) -> list[Cascade]:
    known = ["auto", *manifest.cascades, *manifest.students]
    for name in names or ():
        if name not in known:
            raise NestlingError(f"policy: {name!r} is none of {', '.join(known)}")
    wanted = [manifest.policy(name) for name in dict.fromkeys(names or known[1:])]
    if thresholds is None:
        return wanted
    if not names or len(wanted) != 1:
        raise NestlingError("thresholds: are of one policy; name it by one --policy")
    return [_with_thresholds(wanted[0], thresholds)]


def _with_thresholds(policy: Cascade, thresholds: str) -> Cascade:
    values = []
    for part in thresholds.split(","):
        try:
            value = float(part)
        except ValueError:
            raise NestlingError(f"thresholds: {part!r} is no number") from None
        if not 0 <= value <= 1:
            raise NestlingError(f"thresholds: {part} is not between 0 and 1")
        values.append(value)
    if len(values) != len(policy.stages) - 1:
        raise NestlingError(
            f"thresholds: {len(values)} for {policy.name!r}, which takes {len(policy.stages) - 1}: "
            "one per stage but the last"
        )
    return policy.at(values)


def _report(
    manifest: Manifest, log: Path, found: _Found, results: Sequence[Replayed]
) -> dict[str, Any]:
    from ..models.evaluation.replay import CANNOT_BE_KNOWN, CONFIDENCE

    served, *policies = [asdict(result) for result in results]
    return {
        "log": str(log),
        "weights_sha256": manifest.weights_sha256,
        "since": min(record.time for record in found.usable),
        "until": max(record.time for record in found.usable),
        "texts": len(found.usable),
        "by_cascade": _by_cascade(found.usable),
        "refused": dict(found.refused),
        "damaged": [str(line) for line in found.damaged],
        "confidence": CONFIDENCE,
        "served": served,
        "policies": policies,
        "cannot_be_known": CANNOT_BE_KNOWN,
    }


def _by_cascade(records: Sequence[ShadowRecord]) -> dict[str, int]:
    return dict(Counter(record.cascade for record in records).most_common())


def _show(log: Path, found: _Found, results: Sequence[Replayed]) -> None:
    from ..models.evaluation.replay import CANNOT_BE_KNOWN
    from .console import wide_console

    records = found.usable
    by_cascade = ", ".join(f"{name} {n:,}" for name, n in _by_cascade(records).items())
    lines = [
        f"{log}: {len(records):,} texts from {min(r.time for r in records)} to "
        f"{max(r.time for r in records)}, answered by {by_cascade}"
    ]
    lines += [f"not used: {n:,} {why}" for why, n in sorted(found.refused.items())]
    lines += [f"not used: {line}" for line in found.damaged[:SHOWN]]
    if (more := len(found.damaged) - SHOWN) > 0:
        lines.append(f"not used: {more:,} more lines that are no records")
    console = wide_console()
    console.print("\n".join(lines), highlight=False, markup=False)
    console.print(_table(results))
    for result in results:
        shares = ", ".join(f"{name} {_percent(share)}" for name, share in result.shares.items())
        console.print(f"{result.policy}: answered by {shares}", highlight=False, markup=False)
    console.print("What a log cannot tell:", highlight=False, markup=False)
    for statement in CANNOT_BE_KNOWN:
        console.print(f"- {statement}", highlight=False, markup=False)


def _table(results: Sequence[Replayed]) -> Table:
    from rich.table import Table

    from ..models.evaluation.replay import CONFIDENCE

    table = Table(
        caption="A range, low to high, holds what the log leaves open. Known: texts whose label, "
        "and whose cost, follows from the log alone."
    )
    columns = ("policy", "label known", "cost known", "differs from TA", f"at {CONFIDENCE:.0%}",
               "differs from served", "FLOPs of TA", "of served")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "policy" else "right")
    for number, result in enumerate(results):
        table.add_row(
            result.policy,
            f"{result.answers_known:,}",
            f"{result.costs_known:,}",
            _percent(result.disagreement, 2),
            _percent(result.interval, 2),
            _percent(result.changed, 2),
            _percent(result.relative_flops),
            _percent(result.flops_against_served),
            end_section=number == 0,
        )
    return table


def _percent(share: Range, digits: int = 1) -> str:
    low, high = (f"{end:.{digits}%}" for end in share)
    return low if low == high else f"{low} to {high}"
