"""What a cascade promises of its scopes: how many texts that have a label they let through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..limits import number_between


@dataclass(frozen=True)
class OutOfScope:
    """What became of texts that have none of the labels; counted, without a promise.

    texts: how many there were. inside: the share that is in the scope of each stage. accepted: the
    share that each stage answers with a label, asked by itself. reach_last: the share that gets to
    the last stage. answered: the share that the cascade answers with a label. data_sha256: of their
    file.
    """

    texts: int
    inside: tuple[float, ...]
    accepted: tuple[float, ...]
    reach_last: float
    answered: float
    data_sha256: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OutOfScope:
        by_stage = {field: tuple(data[field]) for field in ("inside", "accepted")}
        return cls(**{**data, **by_stage})


@dataclass(frozen=True)
class ScopePromise:
    """Of each stage that has a scope: with probability `confidence` over the calibration data, at
    least the share `kept` of new texts of the same distribution is inside.

    examples: texts that fixed the scopes, and fitted no temperature. observed: the share of the
    texts that test which is inside, by stage; 1 where a stage has no scope. out_of_scope: None
    where no such texts were given.
    """

    kept: float
    confidence: float
    examples: int
    observed: tuple[float, ...]
    out_of_scope: OutOfScope | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScopePromise:
        """Raises ValueError that names a number out of range."""
        for field in ("kept", "confidence"):
            number_between(0, 1, data[field], f"scope: {field}")
        found = data["out_of_scope"]
        return cls(
            data["kept"],
            data["confidence"],
            data["examples"],
            tuple(data["observed"]),
            OutOfScope.from_json(found) if found else None,
        )

    def of(self, stages: Sequence[int]) -> ScopePromise:
        """The same of some of the stages, with other thresholds: what is outside is not counted."""
        observed = tuple(self.observed[stage] for stage in stages)
        return replace(self, observed=observed, out_of_scope=None)
