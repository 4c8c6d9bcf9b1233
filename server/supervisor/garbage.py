"""How often Python looks for garbage in cycles."""

from __future__ import annotations

import gc

GARBAGE = (50_000, 50, 100)
"""Objects, and rounds, after which Python looks for garbage in cycles: hardly anything here is in
one. By default it looks after each 700 objects, which took a fifth of the time under load."""


def look_seldom() -> None:
    """From now on, also in what is forked from here: a start makes much, and drops little."""
    gc.set_threshold(*GARBAGE)


def settle() -> None:
    """What is there now stays, and is not looked through again."""
    look_seldom()
    gc.collect()
    gc.freeze()
