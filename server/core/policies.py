"""The policy of a request: the name in its `model` field, made a cascade."""

from __future__ import annotations

from collections.abc import Sequence

from ...models.cascade.policy import Cascade
from ...models.checkpoint.manifest import Manifest
from ...models.errors import NestlingError
from ...models.nearest import in_words, listing
from ..errors import Reason, RequestError

AUTO = "auto"


class Policies:
    """All policies of a checkpoint: `auto`, its cascades, each student alone."""

    def __init__(self, checkpoint: Manifest) -> None:
        self._checkpoint = checkpoint
        self.names = [AUTO, *checkpoint.cascades, *checkpoint.students]

    def of(self, model: str, thresholds: Sequence[float] | None = None) -> Cascade:
        """Raises RequestError that lists known names, the most alike first.

        thresholds: in place of its own, one per stage but the last; such a cascade promises
        nothing.
        """
        try:
            cascade = self._checkpoint.policy(model)
        except NestlingError:
            raise RequestError(
                Reason.UNKNOWN_MODEL,
                f"{model[:64]!r} is none of {in_words(model, self.names)}",
                "model",
                known=listing(model, self.names),
            ) from None
        return cascade if thresholds is None else cascade.at(thresholds)
