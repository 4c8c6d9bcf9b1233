"""What the measurements on a GPU will launch, found without one: by the recorder, on tensors that
hold nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch

from . import variants as serving
from .ceilings import Ceilings, empty_kernel
from .cells import attention, cascades, gate, linear, norm
from .cells.row import OURS
from .checks import attention as attention_checks
from .checks import forward as forward_checks
from .checks import gate as gate_checks
from .checks import linear as linear_checks
from .checks import norm as norm_checks
from .clock import Call, Clock, Timed
from .record import Named, Row
from .recorder import Variant, recorded
from .sections import small
from .shapes import Shapes

CPU, META = torch.device("cpu"), torch.device("meta")
NO_CEILINGS = Ceilings(1.0, {"bfloat16": 1.0, "tf32": 1.0}, 0.0)
SERVED = ("fp32", "bf16"), ("clinc150",)
"""In what the section `server` may compute, and the checkpoint that it serves."""


class OnceClock(Clock):
    """Calls ours once, and times nothing."""

    def __init__(self) -> None:
        super().__init__(META)

    def copies(self, size: int) -> int:
        """One holds nothing as well as many."""
        return 1

    def compare(self, runs: Mapping[str, Call], copies: int = 1) -> Timed:
        """No times."""
        if OURS in runs:
            runs[OURS](0)
        return Timed({}, {})

    def back_to_back(self, runs: Mapping[str, Callable[[], object]]) -> Timed:
        """No times."""
        for name in (OURS, cascades.ALONE):
            if name in runs:
                runs[name]()
        return Timed({}, {})


def variants(architecture: str, shapes: Shapes) -> Iterator[list[Variant]]:
    """All that an architecture such as `sm_90` compiles for the sections that follow, in four
    parts: what the server launches, what is timed, what only the checks launch, and what only the
    memory checker watches, which has no time for a compiler.

    Needs a process in which Triton was imported without its interpreter.
    """
    clock = OnceClock()
    cells: list[Named] = [("empty launch", _empty)]
    for each in (linear, norm, gate, attention):
        cells += each.cells(clock, NO_CEILINGS, shapes)
    cells += cascades.ours_alone(clock, shapes)
    checks: list[Named] = []  # on real tensors, for these look at what was computed
    for check in (forward_checks, linear_checks, norm_checks, gate_checks, attention_checks):
        checks += check.checks(CPU)
    known = set(served := serving.variants(architecture, *SERVED))
    yield served
    for part in (cells, checks, small.launched(CPU)):
        with recorded(architecture) as launches:
            for _, run in part:
                run()
        found = dict.fromkeys(launch.variant for launch in launches)
        yield [each for each in found if each not in known]
        known |= set(found)


def _empty() -> Row:
    empty_kernel[(1,)](torch.empty(16, device=META))
    return {}
