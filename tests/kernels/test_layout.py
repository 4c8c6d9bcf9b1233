from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nestling.kernels.layout import Layout

groupings = st.lists(st.lists(st.integers(1, 9), max_size=4), min_size=1, max_size=4)


def layout_of(groups: list[list[int]]) -> Layout:
    return Layout(tuple(length for group in groups for length in group), tuple(map(len, groups)))


@given(groupings)
def test_groups_cover_all_rows_in_order(groups: list[list[int]]) -> None:
    layout = layout_of(groups)
    assert layout.starts[-1] == sum(map(sum, groups))
    assert [r.stop - r.start for r in layout.rows] == [sum(group) for group in groups]
    assert layout.rows[0].start == 0
    for before, after in zip(layout.rows, layout.rows[1:], strict=False):
        assert before.stop == after.start
    for index, group in enumerate(groups):
        assert layout.parts[index] == Layout(tuple(group), (len(group),))


@given(groupings)
def test_padding_finds_every_row(groups: list[list[int]]) -> None:
    layout = layout_of(groups)
    on_cpu = layout.on(torch.device("cpu"))
    positions = on_cpu.padded_positions
    assert len(positions.unique()) == len(positions) == layout.starts[-1]
    if layout.lengths:
        assert torch.equal(on_cpu.padded_mask.flatten().nonzero().flatten(), positions)


@given(groupings, st.data())
def test_finished_groups_keep_their_first_rows(
    groups: list[list[int]], data: st.DataObject
) -> None:
    layout = layout_of(groups)
    finished = tuple(data.draw(st.booleans()) for _ in groups)
    kept, remaining = layout.keep_first_rows(finished)
    expected, lengths = [], []
    for index, group in enumerate(groups):
        start = layout.rows[index].start
        for length in group:
            rows = 1 if finished[index] else length
            expected += range(start, start + rows)
            lengths.append(rows)
            start += length
    assert kept == expected
    assert remaining == Layout(tuple(lengths), tuple(map(len, groups)))
    assert any(finished) or remaining is layout


@given(groupings)
def test_sequences_share_a_grid_with_those_about_as_long(groups: list[list[int]]) -> None:
    layout = layout_of(groups)
    assert sorted(s for each in layout.alike for s in each) == list(range(len(layout.lengths)))
    for each in layout.alike:
        lengths = [layout.lengths[s] for s in each]
        assert len(each) * max(lengths, default=0) <= 2 * sum(lengths)
    if layout.lengths:
        rows = torch.arange(layout.starts[-1])
        parts, back = layout.split(layout.alike)
        apart = torch.cat([rows[part.rows.on(rows.device)] for part in parts])
        assert torch.equal(apart[back.on(rows.device)], rows)
        assert [part.layout.lengths for part in parts] == [
            tuple(layout.lengths[s] for s in each) for each in layout.alike
        ]


def test_refuses_groups_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="groups hold 3 sequences, but lengths names 2"):
        Layout((4, 5), (1, 2))
