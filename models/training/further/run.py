"""`nestling train --resume-from`: a checkpoint learns from its traffic.

    traffic, and labelled texts that are repeated
    → every student's answers: who was sure and wrong
    → joint training, with the TA as it was for a teacher
    → as far from the weights before as the held-out texts allow
    → before and after on texts that were kept apart
    → another checkpoint, unless something became worse

`<out>.training/` keeps what took long, until the checkpoint is written.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from ....kernels.operations import TRAINING
from ...checkpoint.manifest import TA, TOKENIZER
from ...checkpoint.save import write_checkpoint
from ...errors import NestlingError
from ...heads import task_of
from ...nested.trunk import NestedTransformer
from ...progress import SILENT, Progress
from ..augment import recombine
from ..budget import Budget
from ..examples import Examples, logits_of, tokenise
from ..held_out import TELLING
from ..loop import LoopSettings, accelerator_of_a_run, optimise
from ..machine import before_fine_tuning, before_joint_training
from ..matta import JointTraining, Pool
from ..opening import joint_plan, too_little
from ..trial import autocast
from ..workplace import Workplace
from .blending import HALF, blended, farthest
from .comparison import Comparison, Judgement
from .earlier import SHARE, bytes_read, check_judged, digest_of, settings_of
from .judging import answers_of, compare, truth_of
from .lessons import Lessons, lessons_of
from .material import FurtherMaterial, FurtherOptions, gather_further
from .parts import FurtherPart
from .traffic import size_of


@dataclass(frozen=True)
class FurtherResult:
    """judgement: before and after. written: None where something is worse and is not kept."""

    judgement: Judgement
    written: Path | None


def train_further(options: FurtherOptions, progress: Progress = SILENT) -> FurtherResult:
    """Train a checkpoint further, and write the other one if nothing became worse.

    Raises NestlingError for what cannot be used, and where numbers are no longer finite: then what
    was kept of the run goes.
    """
    if options.out.exists():
        raise NestlingError(f"{options.out}: exists already; a checkpoint is never written over")
    accelerator = accelerator_of_a_run()
    shown = progress if accelerator.is_main_process else SILENT
    size = _bytes_to_read(options, accelerator)
    run = FurtherRun(options, gather_further(options, shown, size), accelerator, shown)
    with run.work.unless_broken():
        return run.train()


def _bytes_to_read(options: FurtherOptions, accelerator: Accelerator) -> int:
    """Of a log that may grow: the same in all processes, and as many as an earlier run read."""
    told = [size_of(options.traffic)]
    if accelerator.is_main_process:
        before = bytes_read(options.traffic, options.folder)
        told = told if before is None else [before]
    broadcast_object_list(told)
    return told[0]


class FurtherRun:
    """One run and its steps. work: what runs with these very settings have left.

    Raises NestlingError for steps that have no text for some process.
    """

    def __init__(
        self,
        options: FurtherOptions,
        material: FurtherMaterial,
        accelerator: Accelerator,
        progress: Progress,
    ) -> None:
        self.options, self.material, self.recipe = options, material, material.recipe
        self.accelerator, self.progress = accelerator, progress
        self.checkpoint = material.checkpoint
        self._task = task_of(material.checkpoint.architecture.head())
        self.budget = Budget(options.wishes.minutes)
        self.bfloat16, self.share = False, 1.0
        self.done: dict[str, Any] = {}
        processes = accelerator.num_processes
        self.recipe.joint.check_processes(len(material.sequences), processes)
        for note in material.notes:
            progress.note(note)
        self.folder = options.folder
        settings = settings_of(options, material, processes)
        if options.keep_worse:
            check_judged(settings, self.folder)
        self.work = Workplace(self.folder / digest_of(settings), settings, accelerator)

    def train(self) -> FurtherResult:
        """All steps."""
        started = time.monotonic()
        model = NestedTransformer(self.checkpoint.architecture, TRAINING)
        model.to(self.accelerator.device)
        model.load_state_dict(self.checkpoint.model.state_dict())
        judges = self.material.texts[FurtherPart.JUDGES]
        before = answers_of(model, self.checkpoint, judges, self.progress, "before: judging")
        state = self._further(model)
        model.load_state_dict(state)
        after = answers_of(model, self.checkpoint, judges, self.progress, "after: judging")
        by_labels = self.material.by_labels
        compared = compare(judges, truth_of(judges, before), before, after, by_labels)
        judgement = Judgement(compared, TA, by_labels)
        if judgement.worse and not self.options.keep_worse:
            return FurtherResult(judgement, None)
        if self.accelerator.is_main_process:
            self.progress.step("writing the checkpoint")
            write_checkpoint(
                self.options.out,
                self.checkpoint.architecture,
                {n: s.spec for n, s in self.checkpoint.students.items() if n != TA},
                state,
                self.checkpoint.path / TOKENIZER,
                self._provenance(judgement, time.monotonic() - started),
                trained_on=self.material.trained_on,
                judged_by=self.material.judged_by,
                searches_of=self.checkpoint.path,
            )
            shutil.rmtree(self.folder)
        self.accelerator.wait_for_everyone()
        return FurtherResult(judgement, self.options.out)

    def _further(self, model: NestedTransformer) -> dict[str, Tensor]:
        """The weights to judge; those of a run that was judged and not kept, if its settings were
        the same.
        """
        held_out = self.material.texts[FurtherPart.CHOOSES]
        # An empty part has no answers; it chooses nothing below.
        asked = (model, self.checkpoint, held_out, self.progress)
        said = answers_of(*asked, "before: held-out texts") if held_out else {}

        def learn() -> Mapping[str, Tensor]:
            self._optimise(model, said)
            self.work.decision("done", self._done)  # what a run that is not trained again tells
            return model.state_dict()

        learnt, old = self.work.weights("learnt", learn), self.checkpoint.model.state_dict()
        by_labels = self.material.by_labels

        @cache
        def at(share: float) -> dict[str, Tensor]:
            model.load_state_dict(blended(old, learnt, share))
            return answers_of(*asked, f"{share:.1%} of the way: held-out texts")

        def compared(first: float, then: float) -> list[Comparison]:
            return compare(held_out, truth_of(held_out, said), at(first), at(then), by_labels)

        def decide() -> dict[str, Any]:
            return {"share": farthest(compared, by_labels) if len(held_out) >= TELLING else HALF}

        self.done = self.work.decision("done", self._done)
        self.share = self.work.decision(SHARE, decide)["share"]
        self.progress.note(
            f"the weights go {self.share:.1%} of the way from those before to those after training"
        )
        return blended(old, learnt, self.share)

    def _done(self) -> dict[str, Any]:
        return {"recipe": asdict(self.recipe), "bfloat16": self.bfloat16}

    def _optimise(self, model: NestedTransformer, said: Mapping[str, Tensor]) -> None:
        """said: every student's logits on the held-out texts."""
        lessons = self._lessons(model)
        turns = lessons.turns()
        truth = lessons.truth[turns]
        train = Examples(self._task, tuple(self.material.sequences[i] for i in turns), truth, truth)
        self._ask_the_machine(model, train)
        pool, held_out = self._pool(model, lessons), self._held_out(said)
        students = {n: s.spec for n, s in self.checkpoint.students.items() if n != TA}

        def objective() -> JointTraining:
            targets = lessons.targets[turns]
            return JointTraining(model, students, train, targets, pool, held_out, self.recipe)

        def decide() -> dict[str, Any]:
            self.progress.step("timing a step of the students")
            return before_joint_training(
                objective(), model.device, self.bfloat16, self.recipe, self.budget, len(held_out)
            )

        decided = self.work.decision("joint", decide)
        if warning := too_little(decided, self.recipe):
            self.progress.note(warning)
        # Spare minutes are not used up: each step more leads farther from what was learnt before.
        steps = min(decided["joint"], self.recipe.joint.steps)
        self.recipe = replace(self.recipe, joint=replace(self.recipe.joint, steps=steps))
        joint = objective()
        kept = LoopSettings(
            self.work.path / joint.name,
            self.bfloat16,
            self.recipe.seed,
            self.options.save_every,
            len(held_out) if len(held_out) >= TELLING else 0,
        )
        optimise(joint, self.accelerator, self.progress, kept)

    def _lessons(self, model: NestedTransformer) -> Lessons:
        texts = self.material.texts[FurtherPart.TRAINS]
        logits = answers_of(model, self.checkpoint, texts, self.progress, "asking every student")
        labels = [each.label for each in texts]
        students, cascade = self.checkpoint.students, self.checkpoint.policy()
        lessons = lessons_of(labels, logits, students, cascade)
        self.progress.note(_told(lessons))
        return lessons

    def _ask_the_machine(self, model: NestedTransformer, train: Examples) -> None:
        """The precision that trains faster here, and how many new texts fit into the minutes."""

        def decide() -> dict[str, Any]:
            self.progress.step("trying float32 and bfloat16")
            return before_fine_tuning(model, train, self.recipe, self.budget)

        decided = self.work.decision("machine", decide)
        self.bfloat16 = decided["bfloat16"]
        self.recipe = replace(self.recipe, pool=decided["pool"])
        self.progress.note(f"plan: {joint_plan(self.recipe, self.bfloat16, decided['ratio'])}")

    def _held_out(self, said: Mapping[str, Tensor]) -> Examples:
        texts = self.material.texts[FurtherPart.CHOOSES]
        truth = truth_of(texts, said) if texts else torch.zeros(0, dtype=torch.long)
        longest = self.checkpoint.architecture.max_tokens
        ids = tokenise([each.text for each in texts], self.checkpoint.tokenizer, longest)
        return Examples(self._task, ids, truth, truth)

    def _pool(self, model: NestedTransformer, lessons: Lessons) -> Pool:
        """New texts recombined from those that train, judged by the TA as it was."""
        self.progress.step("recombining texts")
        new = recombine(
            [each.text for each in self.material.texts[FurtherPart.TRAINS]],
            lessons.truth.tolist(),
            self.recipe.pool,
            self.recipe.across,
            self.recipe.seed,
        )
        sequences = tokenise(new, self.checkpoint.tokenizer, self.material.longest)
        if not sequences:
            return Pool((), lessons.targets[:0])
        ta, phase = self.checkpoint.ta.spec, "the TA judges recombined texts"
        with autocast(model.device, self.bfloat16):
            return Pool(sequences, logits_of(model, ta, sequences, TA, self.progress, phase))

    def _provenance(self, judgement: Judgement, seconds: float) -> dict[str, Any]:
        """That of the earlier checkpoint, and what was done since, a round each."""
        earlier = self.checkpoint.provenance
        done = {
            "from_weights_sha256": self.checkpoint.weights_sha256,
            "files_sha256": self.material.files,
            "texts": {part.value: len(texts) for part, texts in self.material.texts.items()},
            "longest": self.material.longest,
            **self.done,
            "share": self.share,
            "judged": judgement.to_json(),
            "worse": [f"{each.student} on {each.where}" for each in judgement.worse],
            "seconds": round(seconds),
            "versions": {name: version(name) for name in ("nestling", "torch", "accelerate")},
        }
        return {**earlier, "further": [*earlier.get("further", []), done]}


def _told(lessons: Lessons) -> str:
    shown = "  ".join(f"{name} {int(rows.sum()):,}" for name, rows in lessons.wrong.items())
    return f"sure and wrong, of {len(lessons.truth):,} texts: {shown}"
