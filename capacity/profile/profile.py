"""A measured machine: what the file of a hardware profile holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import orjson
from pydantic import ConfigDict

from ...models.checkpoint.integrity import replace_text
from ...models.checkpoint.manifest import Manifest
from ...models.latency.model import TimedBatch
from ...models.precision import Precision, chosen
from ...models.runners import RunnerName
from ..errors import PlanError
from .costs import Costs
from .workload import Workload

SCHEMA: Final = 1
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
"""How a file of hardware is checked."""


@dataclass(frozen=True)
class Profile:
    """What `nestling plan measure` found on a machine, for one runner and one checkpoint.

    texts: the workload that came with it. date: ISO 8601, UTC. precision: None in files from before
    there was a choice, when the runner decided it. timings: of students, those of the checkpoint
    and others, by which any other's time is told; empty in files from before they were taken.
    """

    __pydantic_config__: ClassVar = STRICT
    schema: Literal[1]
    measured: Literal[True]
    name: str
    date: str
    command: str
    hardware: dict[str, Any]
    versions: dict[str, str]
    device: str
    runner: RunnerName
    threads: int
    checkpoint: str
    weights_sha256: str
    costs: Costs
    fit: list[dict[str, Any]]
    workload: Workload
    precision: Precision | None = None
    timings: tuple[TimedBatch, ...] = ()

    @property
    def computed_in(self) -> Precision:
        """The precision in which it was measured."""
        return chosen(self.runner, self.precision)

    def check(self, manifest: Manifest) -> None:
        """Raises PlanError if it was measured with another checkpoint, or before a cascade of this
        one was calibrated.
        """
        self.check_weights(manifest)
        for cascade in manifest.cascades.values():
            for stage in cascade.stages:
                if not self.workload.knows(stage):
                    raise PlanError(
                        f"hardware: {self.name} was measured before {cascade.name} was "
                        "calibrated; `nestling plan measure` again"
                    )

    def check_weights(self, manifest: Manifest) -> None:
        """Raises PlanError if it was measured with another checkpoint."""
        if self.weights_sha256 != manifest.weights_sha256:
            raise PlanError(
                f"hardware: {self.name} was measured with {self.checkpoint}, whose weights are "
                f"{self.weights_sha256[:12]}; those of {manifest.path.name} are "
                f"{manifest.weights_sha256[:12]}: `nestling plan measure {manifest.path}` measures "
                "it"
            )

    def write(self, path: Path) -> None:
        """As indented JSON, lists of numbers in one line each, in place of what is there."""
        replace_text(path, _shown(asdict(self)) + "\n")


def _shown(value: Any, indent: str = "") -> str:
    """JSON that a person can read: a long list of numbers is one line."""
    if isinstance(value, dict) and value:
        inner = indent + " "
        items = [f"{inner}{_dumped(name)}: {_shown(each, inner)}" for name, each in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        inner = indent + " "
        return "[\n" + ",\n".join(inner + _shown(each, inner) for each in value) + f"\n{indent}]"
    return _dumped(value)


def _dumped(value: Any) -> str:
    return orjson.dumps(value).decode()
