"""`nestling calibrate`: thresholds with a guarantee, written into the checkpoint."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.errors import NestlingError
from .calibrated import CONFIDENCE, MAX_DROP, show
from .calibrated_groups import show_groups
from .calibration_report import check_report, write_report
from .columns import PAIR, TEXT, LabelColumn, PairColumn, TextColumn, columns_for, labels_for
from .costs import FLOPS, CostOption, ProfileOption, time_model
from .logits import PrecisionOption, RunnerOption, of_records
from .rule import tell_what_is_served
from .scope import AbstainOption, ScopeOption, StrangersOption, refuse_scope, scope_target

if TYPE_CHECKING:
    from ..models.calibration.calibrate import Calibrated
    from ..models.calibration.cost import TimeModel
    from ..models.calibration.scope import ScopeTarget
    from ..models.calibration.target import RiskTarget
    from ..models.checkpoint.load import Checkpoint
    from ..models.checkpoint.manifest import Manifest
    from ..models.inputs.data import TextColumns
    from ..models.precision import Precision
    from ..models.progress import Progress


def calibrate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Texts that were not trained on: .jsonl, .csv, …",
            show_default="none; this or --from-shadow is needed",
        ),
    ] = None,
    from_shadow: Annotated[
        Path | None,
        typer.Option(
            help="Instead of texts: what `nestling serve --shadow-log` has written.",
            show_default="none",
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            help="The risk that is kept, α: 0.005 is half a point of accuracy.",
            min=1e-5,
            max=0.99999,
            show_default=f"{MAX_DROP}; with --from-shadow each cascade's own",
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Probability with which the risk is kept, 1 − δ.",
            min=1e-5,
            max=0.99999,
            show_default=f"{CONFIDENCE}; with --from-shadow each cascade's own",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="drop: texts that break, against the TA. net: accuracy lost, what recovers counts "
            "too. disagreement: no labels, as always with --from-shadow.",
            show_default="drop",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Column of --data whose every value is promised the risk apart: a language, a "
            "customer.",
            show_default="none: all texts together",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The cascade's name. With --from-shadow: this cascade alone.",
            show_default="from loss, risk, column and scope: drop-0.005, drop-0.005-by-lang, "
            "drop-0.005-scoped, drop-0.005-abstaining; with --from-shadow all that were recorded",
        ),
    ] = None,
    default: Annotated[
        bool,
        typer.Option(
            "--default", help="Let this cascade answer `auto` from now on.", show_default="off"
        ),
    ] = False,
    cost: CostOption = FLOPS,
    profile: ProfileOption = None,
    scope: ScopeOption = None,
    out_of_scope: StrangersOption = None,
    abstain: AbstainOption = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="File for a page: risk against cost, and what a smaller risk would take.",
            show_default="none",
        ),
    ] = None,
    runner: RunnerOption = None,
    precision: PrecisionOption = None,
    text_column: TextColumn = TEXT,
    text_pair_column: PairColumn = PAIR,
    label_column: LabelColumn = None,
) -> None:
    """Find a cheap cascade that keeps its accuracy on such texts, with a stated confidence.

    Cascades are kept by name: calibrating again adds one, or replaces the one of the same name.
    The first becomes the default.
    """
    from .progress import ProgressDisplay

    if (data is None) == (from_shadow is None):
        raise NestlingError("calibrate: takes one of --data and --from-shadow")
    if from_shadow is not None:
        if default or loss not in (None, "disagreement"):
            raise NestlingError(
                "--from-shadow: has no labels, so that its loss is disagreement; and it leaves "
                "the default as it is"
            )
        if by is not None:
            raise NestlingError(
                "by: --from-shadow has no columns: what is recorded of a text does not say which "
                "group it is of; calibrate on --data with such a column"
            )
        refuse_scope(scope, out_of_scope, abstain)
    with ProgressDisplay() as progress:
        progress.step("starting")  # what is imported from here on takes seconds
        from ..models.checkpoint.manifest import CALIBRATION
        from ..models.precision import chosen as chosen_precision
        from ..models.precision import file_of
        from ..server.build import read_for
        from .outputs import check_file

        if from_shadow is not None:
            manifest, wanted = of_records(checkpoint, from_shadow, runner, precision)
        else:
            wanted = chosen_precision(runner, precision)
            manifest = read_for(checkpoint, wanted)
        check_file(checkpoint / file_of(CALIBRATION, wanted), "calibrate")
        seconds = time_model(cost, profile, manifest, wanted)
        if report is not None:
            check_report(report)
        if from_shadow is not None:
            from .recalibrate import recalibrate

            tell = recalibrate(
                manifest, wanted, from_shadow, seconds, max_drop, confidence, name, report, progress
            )
        elif data is not None:
            from ..models.calibration.target import RiskTarget

            loss = loss or "drop"
            drop = MAX_DROP if max_drop is None else max_drop
            target = RiskTarget(drop, CONFIDENCE if confidence is None else confidence, loss)
            scopes = scope_target(scope, out_of_scope, abstain)
            loaded, result, chosen = _from_texts(
                manifest, wanted, data, target, seconds, by, scopes, out_of_scope, name, default,
                columns_for(manifest, text_column, text_pair_column), label_column, progress,
            )  # fmt: skip
            tell = partial(
                _tell, loaded, result, chosen, wanted, data, by is not None, report, checkpoint
            )
    tell()


def _tell(
    loaded: Checkpoint,
    result: Calibrated,
    chosen: str,
    precision: Precision,
    data: Path,
    groups: bool,
    report: Path | None,
    checkpoint: Path,
) -> None:
    show(loaded, result.cascade, result.choice)
    if groups:
        show_groups(result.cascade)
    typer.echo(f"`auto` is answered by {chosen}.")
    tell_what_is_served(checkpoint)
    if report is not None:
        found = (result.cascade, result.choice, list(loaded.students))
        write_report(report, loaded, precision, data, [found])


def _from_texts(
    manifest: Manifest,
    precision: Precision,
    data: Path,
    target: RiskTarget,
    seconds: TimeModel | None,
    by: str | None,
    scope: ScopeTarget | None,
    out_of_scope: Path | None,
    name: str | None,
    default: bool,
    columns: TextColumns,
    label_column: str | None,
    progress: Progress,
) -> tuple[Checkpoint, Calibrated, str]:
    """Whatever can be known without the model is known before it runs, how few texts are too few
    among it. Returns the checkpoint, what was found, and the name that answers `auto`.
    """
    from ..models.calibration.choice import divide
    from ..models.calibration.groups import TextGroups
    from ..models.calibration.known import worth_knowing
    from ..models.calibration.scope import check_enough, halves
    from ..models.checkpoint.integrity import sha256_of
    from ..models.checkpoint.manifest import TA
    from ..models.checkpoint.seen import refuse_training_texts
    from ..models.evaluation.predictions import fitting, predict_all
    from ..models.heads.truth import answers_in
    from ..models.inputs.data import read_groups, read_labelled, read_texts
    from ..models.limits import check_name
    from ..models.precision import evidence_in, margin_of
    from ..server.build import kept_answers, load_for

    name = name or _name(target, by, scope)
    try:
        check_name(name, "cascade")
    except ValueError as error:
        raise NestlingError(f"name: {error}") from None
    if name == "auto" or name in manifest.students:
        raise NestlingError(f"name: {name!r} already names a policy of this checkpoint")
    progress.step("reading texts")
    indices = None
    if target.needs_labels:
        labelled = read_labelled(data, columns, labels_for(manifest, label_column))
        texts = labelled.texts
        indices = answers_in(labelled, manifest.architecture.head(), data)
    else:
        texts = read_texts(data, columns)
    groups = None if by is None else TextGroups.by(by, read_groups(data, by, columns))
    sha256 = sha256_of(data)
    for doubt in refuse_training_texts(manifest, texts, sha256, data):
        progress.note(f"warning: {doubt}")
    texts, cut = fitting(manifest, texts, data)
    # A group or a scope is not known of texts of which only the answers were kept.
    alone = groups is None and scope is None
    held_out = worth_knowing(manifest, len(texts), target) if alone else None
    parts = divide(len(texts), target, sha256, groups, len(held_out) if held_out else 0)
    if scope is not None:
        check_enough(len(halves(parts, groups)[1]), scope, target.confidence)
    unknown = read_texts(out_of_scope, columns) if out_of_scope is not None else ()
    unknown, of_unknown = fitting(manifest, unknown, out_of_scope or data)
    for doubt in (*cut, *of_unknown):
        progress.note(f"warning: {doubt}")

    progress.step("loading the checkpoint")
    import torch

    from ..models.calibration.calibrate import calibrate as find
    from ..models.checkpoint.save import write_calibration

    loaded, runner = load_for(manifest.path, precision, progress, evidence_in(precision))
    truth = None if indices is None else torch.tensor(indices)
    predictions = predict_all(loaded, texts, data, runner, progress)
    exact = kept_answers(loaded, precision, texts, data, progress)
    strangers = None
    if out_of_scope is not None:
        strangers = (
            predict_all(loaded, unknown, out_of_scope, runner, progress),
            sha256_of(out_of_scope),
        )
    progress.step("looking for the thresholds")
    result = find(
        loaded, predictions, truth, target, name, sha256, margin_of(precision), seconds, exact,
        groups, scope, strangers, held_out,
    )  # fmt: skip
    temperatures = {s.name: s.temperature for s in loaded.students.values()}
    if target.needs_labels:  # temperatures of agreement belong to that cascade alone
        temperatures = result.temperatures
    cascades = {**loaded.cascades, name: result.cascade}
    chosen = name if default or loaded.default == TA else loaded.default
    write_calibration(loaded, temperatures, cascades, chosen, precision)
    return loaded, result, chosen


def _name(target: RiskTarget, by: str | None, scope: ScopeTarget | None) -> str:
    """What characters of the column a name cannot have are left out of it."""
    name = f"{target.loss}-{target.alpha:g}"
    if by is not None:
        name += f"-by-{re.sub(r'[^A-Za-z0-9_.-]+', '', by)[:32]}"
    if scope is not None:
        name += "-abstaining" if scope.abstain else "-scoped"
    return name
