"""The end of a training: how what is written stands, and the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoint.held_out import HeldOutAnswers
from ..checkpoint.manifest import TA
from ..checkpoint.save import write_checkpoint
from ..inputs.data.fingerprints import TextSample
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from ..progress import Progress
from .examples import accuracy
from .held_out import asked
from .loop import accuracies
from .material import Material
from .verdict import HeldOutVerdict


def finish(
    model: NestedTransformer,
    material: Material,
    judged: Tensor,
    out: Path,
    provenance: Mapping[str, Any],
    progress: Progress,
) -> None:
    """Write the checkpoint of a trained TA, whose weights are rounded to those that it will have.

    judged: which of the held-out texts the teacher has right, bool. provenance: all but how TA and
    students stand on them.
    """
    _round(model)
    everyone = {**material.students, TA: StudentSpec.full(material.architecture)}
    held_out = asked(model, everyone, material.held_out, progress)
    verdict = _verdict(model, everyone, material, held_out, judged, progress)
    if material.held_out_whole is not material.held_out:
        held_out = asked(model, everyone, material.held_out_whole, progress)
    progress.step("writing the checkpoint")
    write_checkpoint(
        out,
        material.architecture,
        material.students,
        model.state_dict(),
        material.pretrained.tokenizer,
        {**provenance, "held_out": verdict.to_json(TA)},
        trained_on=TextSample.of([*material.data.texts, *material.unlabelled.texts]),
        held_out=held_out,
    )


def _verdict(
    model: NestedTransformer,
    everyone: Mapping[str, StudentSpec],
    material: Material,
    held_out: HeldOutAnswers | None,
    judged: Tensor,
    progress: Progress,
) -> HeldOutVerdict:
    """How all stand on the held-out texts, and on the user's validation."""
    verdict = HeldOutVerdict(held_out.right if held_out else {}, judged)
    for line in verdict.lines(TA):
        progress.note(line)
    if validation := material.validation:
        found = {name: accuracy(model, s, validation, name) for name, s in everyone.items()}
        progress.note(accuracies(found, f"validation accuracy, {len(validation):,} texts"))
    return verdict


@torch.no_grad()
def _round(model: NestedTransformer) -> None:
    """To bfloat16, as they are written: what is said of the model is said of the checkpoint."""
    for parameter in model.parameters():
        parameter.copy_(parameter.bfloat16())
