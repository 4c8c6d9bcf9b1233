"""From a plain mapping, as YAML or JSON gives it, to a plan: whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pydantic import ValidationError

from .conflicts import conflicts
from .declaration import (
    MOST,
    Declaration,
    DeclaredExperiment,
)
from .definition import (
    BUCKETS,
    BucketRange,
    Experiment,
    ExperimentLayer,
    ExperimentPlan,
    Guardrail,
    Variant,
)
from .errors import DeclarationError, Problem, shown
from .field_checks import Known
from .metrics import GUARDED, Metric
from .problems import problems_of


def parse(declared: object, known: Known) -> ExperimentPlan:
    """A whole declaration: `layers` and `experiments`.

    Raises DeclarationError with every problem: its path, the value, the limit.
    """
    problems = list(_repeated(declared))
    try:
        known = replace(known, layers=[name for _, name in _names(declared, "layers")])
        read = Declaration.model_validate(declared, context=known)
    except ValidationError as error:
        raise DeclarationError([*problems_of(error), *problems]) from None
    by_name = {
        each.name: ExperimentLayer(each.name, each.salt or each.name) for each in read.layers
    }
    experiments = tuple(_experiment(each, by_name) for each in read.experiments)
    if problems := problems or conflicts(experiments):
        raise DeclarationError(problems)
    return ExperimentPlan(experiments)


def _repeated(declared: object) -> Iterator[Problem]:
    """Names that their list has already. They are compared as they came, so that they are found
    beside all that is wrong with other fields.
    """
    lists = [("layers", _names(declared, "layers"))]
    if isinstance(declared, Mapping) and isinstance(declared.get("experiments"), list):
        for index, experiment in enumerate(declared["experiments"][:MOST]):
            lists.append((f"experiments[{index}].variants", _names(experiment, "variants")))
    for path, names in lists:
        seen: set[str] = set()
        for index, name in names:
            if name in seen:
                yield Problem(f"{path}[{index}].name", f"{shown(name)} is there twice")
            seen.add(name)


def _names(declared: object, field: str) -> list[tuple[int, str]]:
    """The names in a list of mappings, each with its place, of those that have one."""
    entries = declared.get(field) if isinstance(declared, Mapping) else None
    return [
        (index, entry["name"])
        for index, entry in enumerate(entries[:MOST] if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and isinstance(entry.get("name"), str)
    ]


def _experiment(read: DeclaredExperiment, layers: Mapping[str, ExperimentLayer]) -> Experiment:
    owns = BucketRange.of(*read.owns)
    return Experiment(
        name=read.name,
        salt=read.salt or read.name,
        unit=read.unit,
        layer=layers[read.layer] if read.layer else ExperimentLayer(read.name, read.name),
        owns=owns,
        enrolled=owns.width if read.enrolled is None else round(read.enrolled * BUCKETS),
        phase=read.phase,
        variants=tuple(Variant(**dict(each)) for each in read.variants),
        start=read.start,
        end=read.end,
        primary=Metric(read.primary.metric, read.primary.kind, read.primary.better),
        smallest_effect=read.primary.smallest_effect,
        guardrails=tuple(
            Guardrail(GUARDED[each.metric], each.limit, each.margin, each.confidence)
            for each in read.guardrails
        ),
        confidence=read.confidence,
        planned_units=read.planned_units,
        paired=round(read.paired * BUCKETS) / BUCKETS,
    )
