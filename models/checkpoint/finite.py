"""What is not finite is refused when it is loaded: a NaN in a weight would be an answer later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from ..nested.spec import StudentSpec
from .manifest import WEIGHTS, Manifest

STORED = ("float16", "bfloat16", "float32", "float64")
"""In which weights may be stored."""
LENGTHS = (6, 8, 11, 16, 22, 32)
"""Tokens of the sequences that every student is asked."""
Ask = Callable[[Sequence[Sequence[int]], StudentSpec], NDArray[np.floating[Any]]]
"""Token id sequences and a student in, logits out: (sequences, labels)."""


def check_dtype(dtype: str, file: Path, name: str) -> None:
    """Raises CheckpointError for a dtype that is none of `STORED`."""
    if dtype not in STORED:
        raise CheckpointError(file, f"{name}: dtype {dtype} is none of {', '.join(STORED)}")


def not_finite(file: Path, name: str, one: float, wrong: int, total: int) -> CheckpointError:
    """Of a weight with so many wrong numbers among all of its own, such as `one`."""
    return CheckpointError(
        file,
        f"{name}: {one} and the like in {wrong:,} of {total:,} places; a weight must be finite",
    )


def too_large(file: Path, name: str, greatest: float, dtype: str) -> CheckpointError:
    """Of a weight that is to be computed with in a dtype which does not hold it."""
    return CheckpointError(file, f"{name}: {greatest:g} is too large for {dtype}")


def check_logits(manifest: Manifest, ask: Ask, computed_in: str) -> None:
    """Ask every student, once, texts that are always the same.

    Weights can be finite and still so large that what comes of them is not, in half precision above
    all. Raises CheckpointError that names the student.
    """
    a, generator = manifest.architecture, np.random.default_rng(0)
    texts = [
        generator.integers(a.ids, size=min(length, a.max_tokens)).tolist() for length in LENGTHS
    ]
    for student in manifest.students.values():
        if not np.isfinite(ask(texts, student.spec)).all():
            narrow = computed_in == "float16"
            more = "; bfloat16 and float32 hold greater ones" if narrow else ""
            raise CheckpointError(
                manifest.path / WEIGHTS,
                f"student {student.name!r} answers with numbers that are not finite when it "
                f"computes in {computed_in}{more}",
            )
