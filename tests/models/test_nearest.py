"""The names that an error offers for one that is not known."""

from __future__ import annotations

from nestling.models.nearest import did_you_mean, in_words, listing, nearest


def test_a_long_list_of_names_is_cut() -> None:
    known = [f"cascade-{number}" for number in range(30)]
    assert listing("cascade-29", known)[0] == "cascade-29"
    assert in_words("huge", known) == ", ".join(known[:10]) + " and 20 more"
    assert in_words("huge", ["a", "b"]) == "a, b"


def test_case_and_blanks_make_no_difference() -> None:
    assert nearest(" ALARM", ["music", "alarm"]) == ["alarm"]
    assert nearest("tiny", ["TINY", "Tiny", "huge"], most=2) == ["TINY", "Tiny"]
    assert listing("Tiny", ["auto", "tiny"]) == ["tiny", "auto"]


def test_nothing_is_offered_where_nothing_is_near() -> None:
    assert nearest("alarm", []) == nearest("xyz", ["alarm"]) == []
    assert did_you_mean("xyz", ["alarm"]) == ""
    assert did_you_mean("alrm", ["alarm", "music"]) == "; did you mean 'alarm'?"
