from __future__ import annotations

import pytest

from benchmarks.kernels.candidates import CANDIDATES
from nestling.kernels.multiples import multiple_of
from nestling.kernels.tiles import COLUMN_CLASSES, ROW_CLASSES, choices, tiles_for


@pytest.mark.parametrize(
    ("card", "major", "shared", "tiles"),
    [
        ("A100", 8, 163, "sm_80"),
        ("L4, RTX 4090", 8, 99, "sm_80"),
        ("H200", 9, 227, "sm_90"),
        ("one with less than others of its kind", 9, 100, "sm_80"),
        ("B200", 10, 227, "sm_100"),
        ("RTX 5090", 12, 99, "sm_80"),
        ("T4", 7, 64, "sm_80"),
        ("one that is not known yet", 14, 300, "sm_80"),
    ],
)
def test_every_card_has_tiles(card: str, major: int, shared: int, tiles: str) -> None:
    assert tiles_for(major, shared * 1024) == tiles, card


def test_every_choice_is_a_candidate() -> None:
    assert set(choices()) == set(CANDIDATES)
    for architecture, kinds in choices().items():
        assert set(kinds) == set(CANDIDATES[architecture]) == {"half", "tf32x3"}
        for kind, classes in kinds.items():
            assert set(classes) == set(map(str, ROW_CLASSES))
            for by_columns in classes.values():
                assert set(by_columns) == set(map(str, COLUMN_CLASSES))
                assert set(by_columns.values()) <= set(CANDIDATES[architecture][kind])


def test_all_tiles_of_a_kind_walk_in_steps_of_one_depth() -> None:
    """A row's bits do not depend on the tile."""
    for kinds in CANDIDATES.values():
        for tiles in kinds.values():
            assert len({tile.depth for tile in tiles}) == 1


@pytest.mark.parametrize(
    ("sizes", "multiple"), [((384, 1536), 8), ((150,), 2), ((384, 100), 4), ((7, 16), 1), ((1,), 1)]
)
def test_the_multiple_that_a_launch_names(sizes: tuple[int, ...], multiple: int) -> None:
    assert multiple_of(*sizes) == multiple
