"""What `nestling.models` offers by name."""

from __future__ import annotations

import pytest

import nestling.models


def test_every_name_is_there_when_it_is_asked_for() -> None:
    for name in nestling.models.__all__:
        assert getattr(nestling.models, name).__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Predicter'"):
        _ = nestling.models.Predicter
