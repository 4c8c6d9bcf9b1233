"""All that a device has to be told of a batch arrives in one copy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nestling.kernels import placed
from nestling.kernels.layout import Groups, Indices
from nestling.kernels.placed import missing_widths, on_device
from nestling.kernels.upload import upload

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _no_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placed, "_widths", type(placed._widths)())


def test_every_section_arrives_and_begins_at_16_bytes() -> None:
    indices = [
        Indices([1, 2, 3]),
        Indices(np.array([4, 5])),
        Groups((0, 2, 9)).indices,
        Indices(()),
    ]
    floats = [np.array([0.5, 1e-30], np.float32), np.array([-1.0], np.float32)]
    widths = [(7, 8), (9, 0, 1)]
    placed = upload(indices, widths, floats, CPU)
    assert [each.on(CPU).tolist() for each in indices] == [[1, 2, 3], [4, 5], [0, 2, 9], []]
    assert [each.tolist() for each in placed] == [each.tolist() for each in floats]
    assert [on_device(each, CPU).tolist() for each in widths] == [[7, 8], [9, 0, 1]]
    sections = [*(each.on(CPU) for each in indices), *placed]
    assert len({each.untyped_storage().data_ptr() for each in sections}) == 1
    assert {each.storage_offset() % 4 for each in sections} == {0}
    assert indices[0].on(CPU) is indices[0].on(CPU)
    assert {each.on(CPU).dtype for each in indices} == {torch.int32}


def test_widths_outlive_the_batch_that_brought_them_in_memory_of_their_own() -> None:
    """A batch's memory is not held by what later batches use."""
    indices = Indices(range(1000))
    upload([indices], [(3, 4)], [], CPU)
    kept = on_device((3, 4), CPU)
    assert kept.untyped_storage().nbytes() == 16
    upload([Indices([1])], [(3, 4)], [], CPU)
    assert on_device((3, 4), CPU) is kept


def test_widths_that_nobody_asks_for_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placed, "MOST_WIDTHS", 2)
    upload([], [(1,), (2,)], [], CPU)
    upload([], [(1,), (3,)], [], CPU)
    assert missing_widths([(1,), (2,), (3,)], CPU) == [(2,)]


def test_nothing_is_copied_where_nothing_is_new() -> None:
    upload([], [(1,)], [], CPU)
    assert upload([], [(1,)], [], CPU) == []
