"""Every operation against its rivals, each cell as a share of what the device can do."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain, zip_longest

from .. import ceilings
from ..cells import attention, gate, linear, norm
from ..clock import Clock
from ..devices import device_of
from ..record import Record
from ..shapes import shapes_for
from ..targets import reached


def run(record: Record, name: str) -> None:
    device = device_of(name)
    shapes = shapes_for(device)
    clock = Clock(device, shapes.repeats, shapes.calls)
    measured = ceilings.measure(clock, shapes.copied, shapes.matrix)
    record.note(ceilings=asdict(measured), l2=clock.l2)
    kinds = {
        "linear": linear.cells(clock, measured, shapes),
        "norm": norm.cells(clock, measured, shapes),
        "gate": gate.cells(clock, measured, shapes),
        "attention": attention.cells(clock, measured, shapes),
    }
    # A part of each kind in turn, so that who runs out of time has the most telling of all kinds.
    parts = [
        [(kind, cells[i : i + size]) for i in range(0, len(cells), size)]
        for kind, cells in kinds.items()
        for size in [max(1, -(-len(cells) // 8))]
    ]
    for kind, cells in filter(None, chain.from_iterable(zip_longest(*parts))):
        record.rows(kind, cells)
    record.note(targets=reached(record.found))
