"""Whether a reported outcome can be what it says, before it is stored for good."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Engine

from ..models.cascade.decisions import OUT_OF_SCOPE
from ..models.nearest import listing
from .definition import ExperimentPlan
from .errors import FieldError
from .field_checks import Known
from .metrics import Kind
from .records import LABEL, Outcome, is_storable
from .store.labels import BATCH, note_labels, noted_labels

NAMED = 3
"""KnownLabels that the message for an unknown one names."""


class KnownLabels:
    """What a right answer may be: a label of any checkpoint that has answered for this record.

    An outcome often comes after a reload, and its request may have met another replica. known: of
    the checkpoint that answers now. The methods ask the database, so they are for
    threads, one at a time or not.
    """

    def __init__(self, engine: Engine, known: Callable[[], Known]) -> None:
        self._engine, self._known = engine, known
        self._noted: frozenset[str] = frozenset()

    def note(self) -> None:
        """Have the labels served now known to all replicas, and after a reload. Raises
        StoreError."""
        new = {label for label in self._known().labels if is_storable(label)} - self._noted
        if new:
            note_labels(self._engine, sorted(new))
            self._noted |= new

    def check(self, given: Mapping[str, Outcome]) -> None:
        """given: by the place in the body. Raises FieldError for one label where a text may have
        several, or several where it has one, and for the first label that no checkpoint had;
        StoreError.
        """
        self._check_form(given)
        while unknown := self._unknown(given):
            found = noted_labels(self._engine, unknown)
            for label, place in unknown.items():
                if label not in found:
                    raise self._refused(label, place)
            self._noted |= found

    def _unknown(self, given: Mapping[str, Outcome]) -> dict[str, str]:
        """Some labels that are new here, each with its first place."""
        known = self._noted.union(self._known().labels)
        unknown: dict[str, str] = {}
        for place, outcome in given.items():
            for label in _labels(outcome):
                if label not in known and len(unknown) < BATCH:
                    unknown.setdefault(label, place)
        return unknown

    def _check_form(self, given: Mapping[str, Outcome]) -> None:
        """An answer that is out of scope is a string in either form."""
        several = self._known().several
        for place, outcome in given.items():
            if outcome.metric != LABEL or outcome.value == OUT_OF_SCOPE:
                continue
            if several != isinstance(outcome.value, tuple):
                raise FieldError(
                    "one label, where a text may have several: expected a list of labels, which "
                    "may be empty"
                    if several
                    else "a list of labels, where each text has exactly one: expected a string",
                    f"{place}value",
                )

    def _refused(self, label: str, place: str) -> FieldError:
        served = self._known().labels
        near = listing(label, served)[:NAMED]
        return FieldError(
            f"{label[:64]!r} is none of the {len(served)} labels, such as {', '.join(near)}",
            f"{place}value",
            known=near,
        )


def _labels(outcome: Outcome) -> Sequence[str]:
    """That an outcome names."""
    if outcome.metric != LABEL:
        return ()
    return outcome.value if isinstance(outcome.value, tuple) else (str(outcome.value),)


def check_rates(given: Mapping[str, Outcome], plan: ExperimentPlan) -> None:
    """Raises FieldError for a number that its metric, as it is declared, cannot have.

    An outcome counts in every experiment of its request, so what any of them takes is taken.
    """
    for place, outcome in given.items():
        kinds = {
            experiment.primary.kind
            for experiment in plan.experiments
            if experiment.primary.name == outcome.metric
            and outcome.experiment in (None, experiment.name)
        }
        value = outcome.value
        if kinds == {Kind.RATE} and isinstance(value, int | float) and not 0 <= value <= 1:
            raise FieldError(
                f"{value:g}; {outcome.metric!r} is declared as a rate, so it is from 0 to 1",
                f"{place}value",
            )
