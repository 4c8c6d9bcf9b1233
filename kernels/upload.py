"""All that a device has to be told of a batch, in one copy that the host does not wait for.

Sections lie end to end in one buffer of pinned memory, each from a multiple of 16 bytes on, as
kernels ask for wide loads. Every batch has a buffer of its own: torch's allocator of pinned memory
gives one out again only when the copies from it have ended.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .layout import Indices
from .placed import missing_widths, place_widths

ALIGNED = 4
"""Numbers of 4 bytes, so 16 bytes: where a section may begin."""


def upload(
    indices: Sequence[Indices],
    widths: Sequence[tuple[int, ...]],
    floats: Sequence[NDArray[np.float32]],
    device: torch.device,
) -> list[Tensor]:
    """Place the integers where `Indices.on` and `on_device` find them.

    Returns the floats on the device, each (values,) float32.
    """
    new = missing_widths(widths, device)
    given = [*(i.values for i in indices), *(f.view(np.int32) for f in floats), *new]
    if not given:
        return []
    sections = []
    end = 0
    for values in given:
        sections.append(slice(end, end + len(values)))
        end += -(-len(values) // ALIGNED) * ALIGNED
    pinned = device.type == "cuda"
    host = torch.empty(end, dtype=torch.int32, pin_memory=pinned)
    written = host.numpy()
    for section, values in zip(sections, given, strict=True):
        written[section] = values
    copy = host.to(device, non_blocking=pinned)
    for section, each in zip(sections, indices, strict=False):
        each.place(copy[section])
    if new:
        # They serve other batches, too: in memory of their own, which does not hold this batch's.
        first_new = sections[-len(new)].start
        kept = copy[first_new:].clone()
        for section, each_new in zip(sections[-len(new) :], new, strict=True):
            place_widths(each_new, kept[section.start - first_new : section.stop - first_new])
    first = len(indices)
    return [copy[s].view(torch.float32) for s in sections[first : first + len(floats)]]
