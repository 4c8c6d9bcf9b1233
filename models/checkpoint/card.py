"""The README of an exported student: how to run it, what it is, and where it comes from."""

from __future__ import annotations

from importlib.metadata import version
from string import Template

from ..cascade.policy import Cascade, Stage, Student
from ..cascade.score import Score
from ..precision import Precision, file_of
from .manifest import CALIBRATION, Manifest

CARD = Template("""\
---
library_name: $library
pipeline_tag: text-classification
tags: [nestling]
---

# $name: a student of $checkpoint

It sorts $what into $classes: $layers of the $depth layers of its teaching assistant,
$dim wide, $parameters parameters. It is one of the students that Nestling serves from
one checkpoint, written as a directory of its own; Nestling is not needed to run it.

## Run it

    pip install $packages

In this directory, with $arguments as arguments:

```python
$program```

It prints $answer and $printed. Inputs are at most $max_tokens tokens long, special
tokens included; what is longer is cut off here, and refused by Nestling.

## Its confidence

$confidence

## Where it comes from

| | |
|---|---|
$origin

$cascades
""")
CALIBRATED = """\
**Temperature $temperature is folded into the weights**: the classifier's weight and bias are
divided by it. It comes from `$file` of the checkpoint. So $confidence, and nothing is
to be divided once more."""
UNCALIBRATED = """\
**Temperature 1 is folded into the weights**, which changes nothing: the checkpoint has no
calibration for `$name`. So $confidence, and nobody has
measured how often it is right."""
OF_ONE = """\
the softmax of these logits is the confidence with which Nestling serves `$name`"""
OF_SEVERAL = """\
the sigmoid p of each of these logits is the probability of that label with which Nestling serves
`$name`; the product of max(p, 1 − p) over all labels is its confidence in the whole set"""
ONE_COUNTS = """\
It is the highest probability of
softmax(logits × $temperature / T) that counts, at the temperature T; where the margin is named, the
same over the two highest logits alone."""
SET_COUNTS = """\
With p = sigmoid(logits × $temperature / T), at the temperature T, it
is the product of max(p, 1 − p) over all labels that counts; where the margin is named, that of the
least sure label alone."""
IN_CASCADES = """\
## In cascades

| cascade | stage | answers from | at temperature | the whole cascade's promise |
|---|---|---|---|---|
$rows

Where this student is less sure, the next stage is asked. $counts By itself the student answers
everything, and no promise holds."""


def model_card(
    checkpoint: Manifest,
    student: Student,
    precision: Precision,
    library: str,
    packages: str,
    program: str,
) -> str:
    """The text of the README.

    checkpoint: with the calibration of `precision`, whose temperature the student has. library:
    that runs the directory, in the Hub's words. packages: that `program` needs, which runs there.
    """
    a, spec = checkpoint.architecture, student.spec
    of_pairs, several = a.head().inputs == "pair", a.head().task == "multi_label"
    files = (file_of(CALIBRATION, precision), CALIBRATION)
    file = next((name for name in files if (checkpoint.path / name).exists()), None)
    values = {
        "name": student.name,
        "temperature": f"{student.temperature:.9g}",
        "file": str(file),
    }
    values["confidence"] = Template(OF_SEVERAL if several else OF_ONE).substitute(values)
    values["counts"] = Template(SET_COUNTS if several else ONE_COUNTS).substitute(values)
    temperature = CALIBRATED if file else UNCALIBRATED
    labels = len(a.head().labels)
    return CARD.substitute(
        values | {"confidence": Template(temperature).substitute(values)},
        library=library,
        checkpoint=f"`{checkpoint.path.resolve().name}`",
        what="a pair of texts" if of_pairs else "a text",
        arguments="both texts of each pair" if of_pairs else "the texts",
        printed="both texts" if of_pairs else "the text",
        classes=f"any of {labels} classes, or none" if several else f"one of {labels} classes",
        answer="the probability of each label that holds, these labels"
        if several
        else "a probability, a label",
        layers=len(spec.layers),
        depth=a.layers,
        dim=spec.dim,
        parameters=f"{student.parameters:,}",
        packages=packages,
        program=program,
        max_tokens=a.max_tokens,
        origin="\n".join(_origin(checkpoint, student)),
        cascades=_in_cascades(checkpoint, student, values),
    )


def _origin(checkpoint: Manifest, student: Student) -> list[str]:
    spec, said = student.spec, checkpoint.provenance
    widths = (
        f"layers {_listed(spec.layers)}; width {spec.dim}; heads {_listed(spec.attention_heads)}; "
        f"FFN {_listed(spec.ffn)}"
    )
    rows = {
        "checkpoint": f"`{checkpoint.path.resolve().name}`",
        "its weights": f"sha256 `{checkpoint.weights_sha256}`",
        "student": f"`{student.name}`: {widths}",
        "teacher": _code(said.get("teacher")),
        "trained on": _code(said.get("data")),
        "written by": f"`nestling export`, version {version('nestling')}",
    }
    return [f"| {name} | {value} |" for name, value in rows.items() if value]


def _in_cascades(checkpoint: Manifest, student: Student, values: dict[str, str]) -> str:
    rows = [
        _row(cascade, number, stage)
        for cascade in checkpoint.cascades.values()
        for number, stage in enumerate(cascade.stages, start=1)
        if stage.student.name == student.name
    ]
    if not rows:
        return f"No calibrated cascade of the checkpoint asks `{student.name}`."
    return Template(IN_CASCADES).substitute(values, rows="\n".join(rows))


def _row(cascade: Cascade, number: int, stage: Stage) -> str:
    last = number == len(cascade.stages)
    by = "margin " if stage.score is Score.MARGIN else ""
    threshold = "always, it is the last" if last else f"{by}{stage.threshold:.6f}"
    promise = "none"
    if cascade.guarantee:
        g = cascade.guarantee
        promise = f"{g.loss} at most {g.alpha:g}, with {g.confidence:.0%} confidence"
        if g.by is not None:
            promise += f", for each of {len(g.groups)} groups by {_code(g.by)}"
    cells = (
        f"`{cascade.name}`",
        f"{number} of {len(cascade.stages)}",
        threshold,
        f"{stage.student.temperature:.9g}",
        promise,
    )
    return f"| {' | '.join(cells)} |"


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _code(value: object) -> str:
    """What somebody else wrote, harmless in a table."""
    return f"`{' '.join(str(value).replace('`', '').replace('|', '/').split())}`" if value else ""
