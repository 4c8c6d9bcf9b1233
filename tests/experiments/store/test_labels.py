"""KnownLabels of outcomes: what any checkpoint of the record has had, on every replica."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from sqlalchemy import Engine, text

from nestling.experiments.errors import FieldError
from nestling.experiments.field_checks import Known
from nestling.experiments.outcome_checks import KnownLabels
from nestling.experiments.records import Outcome
from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.labels import note_labels, noted_labels

from .samples import exposure, receive, write

SERVED = ["alarm", "money", "translate"]


def known(labels: Collection[str], several: bool = False) -> Known:
    return Known({}, labels=labels, several=several)


def labelled(*labels: str | list[str]) -> Mapping[str, Outcome]:
    return {
        f"[{index}].": Outcome(metric="label", value=label, request_id=f"request-{index}")
        for index, label in enumerate(labels)
    }


def test_a_label_that_nobody_knows_is_named_with_the_nearest(engine: Engine) -> None:
    labels = KnownLabels(engine, lambda: known(SERVED))
    labels.check(labelled(*SERVED))
    labels.check({"": Outcome(metric="reward", value=1.0, request_id="request-1")})
    with pytest.raises(FieldError) as refused:
        labels.check(labelled("alarm", "translat", "no_such_label"))
    assert refused.value.field == "[1].value"
    assert str(refused.value).endswith(
        "'translat' is none of the 3 labels, such as translate, alarm, money"
    )
    assert refused.value.details["known"][0] == "translate"


def test_labels_of_earlier_checkpoints_and_other_replicas_stay_known(engine: Engine) -> None:
    served = ["weather"]
    labels = KnownLabels(engine, lambda: known(served))
    labels.note()
    served[:] = SERVED  # a reload
    labels.check(labelled("weather", "alarm"))
    fresh = KnownLabels(engine, lambda: known(SERVED))  # after a restart, or another replica
    fresh.check(labelled("weather", "alarm"))
    with pytest.raises(FieldError, match="'wether' is none of the 3"):
        fresh.check(labelled("wether"))
    labels.note()
    assert noted_labels(engine, ["alarm", "weather", "rain"]) == {"alarm", "weather"}
    note_labels(engine, ["alarm"])  # again


def test_a_thousand_labels_at_once(engine: Engine) -> None:
    earlier = [f"label-{number}" for number in range(1200)]
    KnownLabels(engine, lambda: known(earlier)).note()
    labels = KnownLabels(engine, lambda: known(SERVED))
    labels.check(labelled(*earlier))
    with pytest.raises(FieldError, match=r"\[1200\].value: 'label-x'"):
        labels.check(labelled(*earlier, "label-x"))


def test_what_no_database_stores_is_no_label_of_the_record(engine: Engine) -> None:
    KnownLabels(engine, lambda: known(["alarm", "a\x00b"])).note()
    assert noted_labels(engine, ["alarm"]) == {"alarm"}


def test_an_older_record_knows_what_it_holds(url: str) -> None:
    engine = open_database(url)
    write(engine, [exposure(1, label="rain")])
    receive(engine, [Outcome(metric="label", value="snow", request_id="request-1")])
    with transaction(engine) as connection:
        connection.execute(text("DROP TABLE labels"))
        connection.execute(text("ALTER TABLE exposures DROP COLUMN version"))
        connection.execute(text("UPDATE nestling_schema SET version_num = '0002'"))
    engine.dispose()
    engine = open_database(url)
    KnownLabels(engine, lambda: known(SERVED)).check(labelled("rain", "snow", "money"))
    engine.dispose()


def test_sets_of_labels(engine: Engine) -> None:
    """Each name of a set is known, and a checkpoint's answers are sets or single labels."""
    KnownLabels(engine, lambda: known(["weather"], several=True)).note()
    labels = KnownLabels(engine, lambda: known([*SERVED, "out_of_scope"], several=True))
    labels.check(labelled([], ["money", "alarm"], ["weather"], "out_of_scope"))
    with pytest.raises(FieldError, match=r"\[1\].value: 'mony' is none of the 4 labels, such"):
        labels.check(labelled(["money"], ["alarm", "mony"]))
    with pytest.raises(FieldError, match=r"\[1\].value: one label, where a text may have several"):
        labels.check(labelled(["money"], "alarm"))
    one = KnownLabels(engine, lambda: known(SERVED))
    with pytest.raises(FieldError, match=r"\[0\].value: a list of labels, where each text has"):
        one.check(labelled(["money"]))


def test_a_set_is_kept_as_exposures_have_it(engine: Engine) -> None:
    """Whatever its order, so that it is the same outcome and the same answer."""
    write(engine, [exposure(label='["alarm", "möney"]')])
    given = list(labelled(["möney", "alarm", "möney"]).values())
    assert receive(engine, given) == ["stored"]
    assert receive(engine, list(labelled(["alarm", "möney"]).values())) == ["duplicate"]
    with transaction(engine) as connection:
        stored = text("SELECT o.label = e.label FROM outcomes o, exposures e")
        assert connection.execute(stored).scalar()
