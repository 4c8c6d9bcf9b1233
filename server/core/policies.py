"""The policy of a request: the name in its `model` field, made a cascade."""

from __future__ import annotations

from typing import NoReturn

from ...models.cascade.policy import Cascade
from ...models.checkpoint.manifest import Manifest
from ...models.nearest import in_words, listing
from ..errors import Reason, RequestError

AUTO = "auto"


class Policies(dict[str, Cascade]):
    """All policies of a checkpoint by name: `auto`, its cascades, each student alone.

    Another name raises RequestError that lists those which are known, the most alike first.
    """

    def __init__(self, checkpoint: Manifest) -> None:
        names = [AUTO, *checkpoint.cascades, *checkpoint.students]
        super().__init__({name: checkpoint.policy(name) for name in names})

    def __missing__(self, model: str) -> NoReturn:
        raise RequestError(
            Reason.UNKNOWN_MODEL,
            f"{model[:64]!r} is none of {in_words(model, list(self))}",
            "model",
            known=listing(model, list(self)),
        )
