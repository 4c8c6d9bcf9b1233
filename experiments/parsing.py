"""From a plain mapping, as YAML or JSON gives it, to a plan: whole, or not at all."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from .conflicts import check
from .definition import (
    BUCKETS,
    BucketRange,
    Experiment,
    ExperimentLayer,
    ExperimentPlan,
    Guardrail,
    Source,
    Unit,
    Variant,
)
from .fields import DeclarationError, Fields, Problem, shown
from .metrics import GUARDED, MEASURED, Better, GuardrailMetric, Kind, Metric
from .secrets import is_secret
from .statistics.summary import LARGEST

MOST_EXPERIMENTS = 100
MOST_VARIANTS = 20
MOST_GUARDRAILS = 20
HEAVIEST = 10_000
"""Weight of a variant; so that the 2³² values of the hash fall on all shares evenly."""
INT8 = "onnx-int8"
OUTCOME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Known:
    """What a variant may name. policies: by name, how many thresholds each has: one per stage but
    the last. runners: those that can be pinned. labels: that an answer may have. headers: whether
    a unit may be any of them, as in declarations of earlier versions; else none that is secret.
    """

    policies: Mapping[str, int]
    runners: Collection[str] = ("torch", "onnx", INT8)
    labels: Collection[str] = ()
    headers: bool = False


def parse(declared: object, known: Known) -> ExperimentPlan:
    """A whole declaration: `layers` and `experiments`.

    Raises DeclarationError with every problem: its path, the value, the limit.
    """
    problems: list[Problem] = []
    top = Fields(declared, "", problems)
    layers: dict[str, ExperimentLayer] = {}
    for value, path in top.items("layers", 0, MOST_EXPERIMENTS):
        layer = _layer(Fields(value, path, problems))
        if layer.name in layers:
            problems.append(Problem(f"{path}.name", f"{layer.name!r} is there twice"))
        layers[layer.name] = layer
    experiments = tuple(
        _experiment(Fields(value, path, problems), layers, known)
        for value, path in top.items("experiments", 0, MOST_EXPERIMENTS)
    )
    top.done()
    if not problems:  # what could not be read cannot be held against the rest
        problems += check(experiments)
    if problems:
        raise DeclarationError(problems)
    return ExperimentPlan(experiments)


def _layer(fields: Fields) -> ExperimentLayer:
    name = fields.name("name")
    layer = ExperimentLayer(name, fields.name("salt", name))
    fields.done()
    return layer


def _experiment(fields: Fields, layers: Mapping[str, ExperimentLayer], known: Known) -> Experiment:
    name = fields.name("name")
    owns = _range(fields)
    variants = tuple(
        _variant(Fields(value, path, fields.problems), known)
        for value, path in fields.items("variants", 2, MOST_VARIANTS)
    )
    for index, variant in enumerate(variants):
        if variant.name in {earlier.name for earlier in variants[:index]}:
            fields.note(f"variants[{index}].name", f"{variant.name!r} is there twice")
    start, end = fields.time("start"), fields.time("end")
    if not fields.has("start"):
        fields.note("start", "is missing")
    if start and end and end <= start:
        fields.note("end", f"{end.isoformat()} is not after the start, {start.isoformat()}")
    primary, smallest_effect = _primary(
        Fields(fields.value("primary"), fields.at("primary"), fields.problems)
    )
    paired = _buckets(fields, "paired", fields.value("paired")) if fields.has("paired") else 0
    if paired and len(variants) > 2:
        fields.note(
            "paired",
            f"{paired / BUCKETS:g} of the units by both variants, of which there are "
            f"{len(variants)}; it takes 2",
        )
    experiment = Experiment(
        name=name,
        salt=fields.name("salt", name),
        unit=_unit(fields, known),
        layer=_layer_of(fields, name, layers),
        owns=owns,
        enrolled=_enrolled(fields, owns),
        phase=fields.name("phase", "first"),
        variants=variants,
        start=start or datetime.min.replace(tzinfo=UTC),
        end=end,
        primary=primary,
        smallest_effect=smallest_effect,
        guardrails=tuple(
            _guardrail(Fields(value, path, fields.problems))
            for value, path in fields.items("guardrails", 0, MOST_GUARDRAILS)
        ),
        confidence=fields.number("confidence", 0.5, 0.9999, Experiment.confidence),
        planned_units=fields.integer("planned_units", 100, 10**9, Experiment.planned_units),
        paired=paired / BUCKETS,
    )
    fields.done()
    return experiment


def _unit(fields: Fields, known: Known) -> Unit:
    value = fields.value("unit")
    if isinstance(value, Mapping):
        unit = Fields(value, fields.at("unit"), fields.problems)
        header = unit.name("header").lower()
        if is_secret(header) and not known.headers:
            unit.note(
                "header",
                f"{header!r} holds a secret, and the unit is recorded as it comes; take a header "
                "that names the user and lets nobody in",
            )
        unit.done()
        return Unit(Source.HEADER, header)
    if value in (Source.USER.value, Source.REQUEST.value):
        return Unit(Source(str(value)))
    fields.note(
        "unit",
        "is missing"
        if value is None
        else f"{shown(value)} is none of user, request, {{header: NAME}}",
    )
    return Unit(Source.REQUEST)


def _layer_of(fields: Fields, name: str, layers: Mapping[str, ExperimentLayer]) -> ExperimentLayer:
    """The declared one that is named; without a name a layer of the experiment's own."""
    if fields.has("layer"):
        chosen = fields.choice("layer", layers)
        return layers[chosen] if chosen else ExperimentLayer(name, name)
    if name in layers:
        fields.note(
            "layer",
            f"is missing, and the layer {name!r}, which would be its own, is declared for others",
        )
    return ExperimentLayer(name, name)


def _range(fields: Fields) -> BucketRange:
    if not fields.has("owns"):
        return BucketRange(0, BUCKETS)
    ends = [
        _buckets(fields, f"owns[{index}]", value)
        for index, (value, _) in enumerate(fields.items("owns", 2, 2))
    ]
    if len(ends) < 2:
        return BucketRange(0, BUCKETS)
    if ends[0] >= ends[1]:
        fields.note(
            "owns", f"{BucketRange(*ends)} is empty; it goes from its first number up to its second"
        )
    return BucketRange(*ends)


def _enrolled(fields: Fields, owns: BucketRange) -> int:
    width = owns.end - owns.first
    if not fields.has("enrolled"):
        return width
    enrolled = _buckets(fields, "enrolled", fields.value("enrolled"))
    if enrolled > width:
        fields.note(
            "enrolled",
            f"{enrolled / BUCKETS:g} of the layer is more than the "
            f"{width / BUCKETS:g} that the experiment owns",
        )
    return enrolled


def _buckets(fields: Fields, key: str, value: object) -> int:
    """A share of the layer as a number of buckets."""
    share = fields.as_number(value, key, 0.0, 1.0) * BUCKETS
    if abs(share - round(share)) > 1e-6:
        fields.note(key, f"{shown(value)} is not a multiple of {1 / BUCKETS:g}")
    return round(share)


def _variant(fields: Fields, known: Known) -> Variant:
    name = fields.name("name")
    weight = fields.integer("weight", 1, HEAVIEST)
    policy = fields.choice("policy", known.policies) if fields.has("policy") else None
    runner = fields.choice("runner", known.runners) if fields.has("runner") else None
    if not fields.has("policy") and not fields.has("runner"):
        fields.note("policy", "is missing; a variant has a policy, a runner or both")
    thresholds = _thresholds(fields, policy, known) if fields.has("thresholds") else None
    alone = policy is not None and not known.policies[policy]
    if runner == INT8 and not alone and (policy or not fields.has("policy")):
        fields.note(
            "runner",
            f"{INT8!r} serves a student alone; thresholds were calibrated on float32 logits",
        )
    fields.done()
    return Variant(name, weight, policy, thresholds, runner)


def _thresholds(fields: Fields, policy: str | None, known: Known) -> tuple[float, ...] | None:
    values = fields.value("thresholds")
    if policy is None:
        if not fields.has("policy"):
            fields.note("thresholds", "are of a cascade; name it as the policy")
        return None
    needed = known.policies[policy]
    if not isinstance(values, list) or len(values) != needed or not needed:
        has = f"{len(values)} numbers" if isinstance(values, list) else shown(values)
        fields.note("thresholds", f"{has}, but {policy!r} has {needed}: one per stage but the last")
        return None
    return tuple(
        fields.as_number(value, f"thresholds[{index}]", 0.0, 1.0)
        for index, value in enumerate(values)
    )


def _primary(fields: Fields) -> tuple[Metric, float]:
    name = fields.name("metric", form=OUTCOME)
    kind, better = fields.value("kind"), fields.value("better")
    metric = MEASURED.get(name)
    if metric is None:
        metric = Metric(
            name,
            Kind(fields.choice("kind", list(Kind)) or Kind.MEAN),
            Better(fields.choice("better", list(Better)) or Better.HIGHER),
        )
    else:
        for key, given, fixed in (("kind", kind, metric.kind), ("better", better, metric.better)):
            if given not in (None, fixed.value):
                fields.note(key, f"{shown(given)}, but {name} is {fixed.value!r}")
    most = 1.0 if metric.kind is Kind.RATE else LARGEST
    smallest = fields.number("smallest_effect", 1e-12, most)
    fields.done()
    return metric, smallest


def _guardrail(fields: Fields) -> Guardrail:
    name = fields.choice("metric", GUARDED)
    if name is None:
        return Guardrail(GUARDED["error_rate"], limit=1.0)
    metric = GUARDED[name]
    limit = _bound(fields, "limit", metric)
    margin = _bound(fields, "margin", metric)
    confidence = fields.number("confidence", 0.5, 0.9999, Guardrail.confidence)
    if (limit is None) == (margin is None):
        fields.note("limit", "a guardrail has either a limit or a margin against control")
    if metric.quantile and margin is not None:
        fields.note("margin", f"{metric.name} is held against a limit only")
    fields.done()
    return Guardrail(metric, limit, margin, confidence)


def _bound(fields: Fields, key: str, metric: GuardrailMetric) -> float | None:
    if not fields.has(key):
        return None
    return fields.number(key, 0.0, 1.0 if metric.metric.kind is Kind.RATE else LARGEST)
