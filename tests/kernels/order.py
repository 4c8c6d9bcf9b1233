"""Runs the programs of a launch in another order than the interpreter's own, the natural one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from triton.runtime.interpreter import GridExecutor, InterpreterBuilder

Order = Callable[[int], Sequence[int]]
"""For so many programs, the order in which they run: each of them once."""


def natural(programs: int) -> Sequence[int]:
    return range(programs)


def backwards(programs: int) -> Sequence[int]:
    return range(programs)[::-1]


def shuffled(seed: int) -> Order:
    """Any order, the same for the same seed."""
    return lambda programs: random.Random(seed).sample(range(programs), programs)


def first(program: int) -> Order:
    """This one before all others, which keep theirs. In a smaller launch, one that is there."""
    return lambda n: [program % n, *(each for each in range(n) if each != program % n)]


def last(program: int) -> Order:
    """This one after all others, which keep theirs. In a smaller launch, one that is there."""
    return lambda n: [*(each for each in range(n) if each != program % n), program % n]


def orders(programs: int) -> dict[str, Order]:
    """By name, all that the tests try of a launch of so many programs."""
    return (
        {"backwards": backwards}
        | {f"shuffled {seed}": shuffled(seed) for seed in range(3)}
        | {f"program {each} first": first(each) for each in range(programs)}
        | {f"program {each} last": last(each) for each in range(programs)}
    )


@contextmanager
def programs_in(order: Order, times: int = 1) -> Iterator[list[int]]:
    """Each launch inside runs in that order, and so often. Gives how many programs each had.

    The results of the first time stay where they are for the second, so that a program that reads
    what another has written finds it written, even if it runs first.
    """
    sizes: list[int] = []
    call, place = GridExecutor.__call__, InterpreterBuilder.set_grid_idx

    def run(self: Any, *arguments: Any, **named: Any) -> None:
        for _ in range(times):
            call(self, *arguments, **named)

    def dimensions(self: Any, *grid: int) -> None:
        self.grid_dim = grid
        sizes.append(int(np.prod(grid)))
        self.in_order = list(order(sizes[-1]))
        if sorted(self.in_order) != list(range(sizes[-1])):
            raise ValueError(f"{self.in_order} is no order of {sizes[-1]} programs")

    def index(self: Any, *natural: int) -> None:
        turn = np.ravel_multi_index(natural, self.grid_dim)
        place(self, *map(int, np.unravel_index(self.in_order[turn], self.grid_dim)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GridExecutor, "__call__", run)
        patch.setattr(InterpreterBuilder, "set_grid_dim", dimensions)
        patch.setattr(InterpreterBuilder, "set_grid_idx", index)
        yield sizes
