"""The series of many processes as those of one server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from threading import Lock

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.samples import Sample

Key = tuple[str, tuple[tuple[str, str], ...]]
Values = dict[Key, Sample]
RISING = ("counter", "histogram")
"""Types that only rise: those of all processes are added, those that have ended among them."""
OWN = "own"
"""What the supervisor itself says, whatever a front does."""
GAUGES: dict[str, str | Callable[[Iterable[float]], float]] = {
    "nestling_queue_requests": sum,
    "nestling_requests_running": sum,
    "nestling_answer_cache_entries": sum,
    "nestling_exposures_buffered": sum,
    "nestling_brownout_level": max,
    "nestling_store_up": min,
    "nestling_build_info": OWN,
    "nestling_processes": OWN,
    "nestling_shadow_disagreement_ratio": OWN,
    "nestling_shadow_repeats_ratio": OWN,
    "nestling_guarantee_evidence": OWN,
    "nestling_guarantee_broken": OWN,
    "nestling_guarantee_broken_timestamp_seconds": OWN,
    "nestling_guarantee_promise_ratio": OWN,
    "nestling_guarantee_steps": OWN,
    "nestling_guarantee_tightened_timestamp_seconds": OWN,
    "nestling_experiment_sample_ratio_mismatch": OWN,
    "nestling_experiment_attrition": OWN,
    "nestling_experiment_stopped": OWN,
    "nestling_experiment_units": OWN,
    "process_virtual_memory_bytes": sum,
    "process_resident_memory_bytes": sum,
    "process_open_fds": sum,
    "process_start_time_seconds": OWN,
    "process_max_fds": OWN,
}
"""What becomes of a gauge that each process has."""


class SummedRegistry(CollectorRegistry):
    """The supervisor's own series, with those of the fronts as they were last read.

    A front that ends leaves what has risen in it: no sum ever falls. Any thread may collect.
    """

    def __init__(self) -> None:
        super().__init__()
        self._fronts: dict[object, list[Metric]] = {}
        self._past: dict[str, Values] = {}
        self._kinds: dict[str, Metric] = {}
        self._changing = Lock()

    def read(self, front: object, families: list[Metric]) -> None:
        """So a front stands."""
        with self._changing:
            self._fronts[front] = families

    def ended(self, front: object) -> None:
        """A front is no more."""
        with self._changing:
            self._keep(front)

    def _keep(self, front: object) -> None:
        for family in self._fronts.pop(front, []):
            if family.type in RISING:
                self._kinds[family.name] = family
                past = self._past.setdefault(family.name, {})
                for sample in family.samples:
                    key = _key(sample)
                    before = past[key].value if key in past else 0.0
                    past[key] = sample._replace(value=before + sample.value)

    def collect(self) -> Iterator[Metric]:
        """All families, each once."""
        own = {family.name: family for family in super().collect()}
        others: dict[str, list[Metric]] = {}
        with self._changing:
            fronts, kinds = list(self._fronts.values()), dict(self._kinds)
            before = {name: dict(values) for name, values in self._past.items()}
        for families in fronts:
            for family in families:
                others.setdefault(family.name, []).append(family)
        for name in dict.fromkeys([*own, *others, *before]):
            mine, theirs = own.get(name), others.get(name, [])
            family = mine or (theirs[0] if theirs else kinds[name])
            yield _merged(family, mine, theirs, before.get(name, {}))

    def restricted_registry(self, names: Iterable[str]) -> _Only:  # type: ignore[override]
        """The families that have these samples, with no others in them."""
        return _Only(self, set(names))


class _Only:
    def __init__(self, registry: SummedRegistry, names: Collection[str]) -> None:
        self._registry, self._names = registry, names

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            samples = [sample for sample in family.samples if sample.name in self._names]
            if samples:
                yield _with(family, samples)


def _key(sample: Sample) -> Key:
    return sample.name, tuple(sorted(sample.labels.items()))


def _merged(family: Metric, own: Metric | None, others: list[Metric], past: Values) -> Metric:
    rule = sum if family.type in RISING else GAUGES[family.name]
    if rule == OWN:
        others, rule = [], sum
    assert callable(rule)
    found: dict[Key, list[float]] = {}
    first: Values = {}
    for each in (own, *others):
        # What a supervisor has of a gauge that is no sum is nothing: it answers no text.
        if each is None or (each is own and others and rule in (max, min)):
            continue
        for sample in each.samples:
            key = _key(sample)
            first.setdefault(key, sample)
            found.setdefault(key, []).append(sample.value)
    for key, sample in past.items():
        first.setdefault(key, sample)
        found.setdefault(key, []).append(sample.value)
    return _with(family, [first[key]._replace(value=rule(found[key])) for key in first])


def _with(family: Metric, samples: list[Sample]) -> Metric:
    metric = Metric(family.name, family.documentation, family.type, family.unit)
    metric.samples = samples
    return metric
