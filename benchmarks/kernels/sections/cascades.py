"""Whole cascades, end to end on the device, against what would stand in their place."""

from __future__ import annotations

from ..cells import cascades
from ..clock import Clock
from ..devices import device_of
from ..record import Record
from ..shapes import shapes_for

CALLS = 5
"""Forwards in a graph: they are long enough."""


def run(record: Record, name: str) -> None:
    device = device_of(name)
    shapes = shapes_for(device)
    clock = Clock(device, shapes.repeats, min(CALLS, shapes.calls))
    record.rows("cascades", cascades.cells(clock, shapes))
