"""Which students a TA gets when the user names none, and how a user names them."""

from __future__ import annotations

import json
from pathlib import Path

from ..cascade.policy import Student
from ..checkpoint.manifest import TA
from ..errors import NestlingError
from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec


def default_students(a: Architecture) -> dict[str, StudentSpec]:
    """About 2 %, 12 % and 28 % of the FLOPs of a TA with six layers.

    The classifier reads one token, so a last layer is cheap even at full width: the smallest
    student is the TA's last layer alone. Each larger student has the layers of the smaller ones.
    """
    last = a.layers - 1
    middle = last // 2
    narrow, half = max(1, a.ffn // 4), max(1, a.ffn // 2)
    students = {"tiny": StudentSpec((last,), a.dim, (a.attention_heads,), (a.ffn,))}
    if middle < last:
        students["small"] = StudentSpec(
            (middle, last), a.dim, (a.attention_heads,) * 2, (narrow, a.ffn)
        )
    if middle > 0:
        students["medium"] = StudentSpec(
            (0, middle, last), a.dim, (a.attention_heads,) * 3, (half, half, a.ffn)
        )
    return students


def read_students(path: Path, architecture: Architecture) -> dict[str, StudentSpec]:
    """Students from a JSON file `{name: {layers, dim, attention_heads, ffn}}`, cheapest first.

    Raises NestlingError that names the file, the student, the field and the limit.
    """
    try:
        data = json.loads(path.read_text("utf-8-sig"))
        if not isinstance(data, dict) or not all(isinstance(e, dict) for e in data.values()):
            raise ValueError("is not an object {name: {layers, dim, attention_heads, ffn}}")
        specs = {name: StudentSpec.from_json(entry) for name, entry in data.items()}
        if TA in specs:
            raise ValueError(f"student {TA!r}: the name of the whole TA")
        students = [Student.of(name, spec, architecture) for name, spec in specs.items()]
    except OSError as error:
        raise NestlingError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise NestlingError(f"{path}: {error}") from error
    return {s.name: s.spec for s in sorted(students, key=lambda s: s.flops.of(16))}
