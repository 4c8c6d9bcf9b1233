"""Chooses the tile of each class of shapes on this device, and writes `kernels/tiles.json` anew."""

from __future__ import annotations

import shutil

import torch

from nestling.kernels import tiles

from .. import tuning
from ..clock import Clock
from ..devices import device_of
from ..record import Record
from ..shapes import shapes_for

SMALL = dict.fromkeys(tuning.ROWS, (2,)), dict.fromkeys(tuning.SIZES, ((5, 3),))
"""What stands for the classes in a rehearsal, which leaves the file as it is."""


def run(record: Record, name: str) -> None:
    """The file is replaced when all classes are measured; a copy lies beside the section's JSON."""
    device = device_of(name)
    shapes = shapes_for(device)
    clock = Clock(device, shapes.repeats, shapes.calls)
    rehearsed = device.type == "cpu"
    cells = tuning.cells(clock, *SMALL) if rehearsed else tuning.cells(clock)
    record.rows("classes", cells)
    measured = [row for row in record.found["classes"] if "tile" in row]
    if len(measured) < len(cells):
        record.fail(f"{len(measured)} of {len(cells)} classes measured: tiles.json stays")
    elif not rehearsed:
        on = f"{torch.cuda.get_device_name(device)}, {record.found['date']}"
        tuning.keep(tuning.chosen(measured), tiles.architecture(device), on)
        shutil.copy(tiles.CHOICES, record.folder / tiles.CHOICES.name)
