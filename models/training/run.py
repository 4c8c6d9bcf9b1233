"""`nestling train`: from an encoder or a fine-tuned teacher to a checkpoint, in one run.

    a part of the data held out, by which training judges itself
    → teacher (fine-tuned first, if it has no classifier)
    → its soft targets on training texts and pool
    → TA, permuted by importance, its classifier taught by the teacher
    → joint training of TA and students
    → checkpoint

Whatever takes long is kept in `<out>.training/` until the checkpoint is written, so that a run
that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from ...kernels.operations import TRAINING
from ..errors import NestlingError
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from ..progress import SILENT, Progress
from .augment import recombine
from .budget import Budget
from .examples import logits_of, pack, right, tokenise, turn
from .finetune import FineTuning, MeanTeacher
from .finish import finish
from .held_out import TELLING, nothing_learnt
from .importance import importance_order
from .loop import LoopSettings, accelerator_of_a_run, optimise
from .machine import before_fine_tuning, before_joint_training
from .material import Material, Options, Weights, gather_material
from .matta import JointTraining, Pool
from .opening import opening, too_little
from .permutation import permute
from .probe import probe
from .provenance import provenance, settings
from .recipe import Recipe
from .trial import attention, autocast
from .unlabelled import sure_labels
from .workplace import Workplace

Teacher = Callable[[PackedBatch], Tensor]
ATTEMPTS = 3
"""Of the joint training, each at half the learning rate of the one before, which went astray."""


def train(options: Options, progress: Progress = SILENT) -> Path:
    """Train and write the checkpoint.

    Raises NestlingError for what cannot be used, and where numbers are no longer finite: then
    what was kept of the run goes, because going on from there would end there again.
    """
    if options.out.exists():
        raise NestlingError(f"{options.out}: exists already; a checkpoint is never written over")
    accelerator = accelerator_of_a_run()
    shown = progress if accelerator.is_main_process else SILENT
    material = gather_material(options, shown)
    run = TrainingRun(options, material, material.recipe, accelerator, shown)
    with run.work.unless_broken():
        return run.train()


class TrainingRun:
    """One run and its steps, each of which finds what an earlier, killed run has left.

    recipe: what the data and the user ask for; the minutes may shorten it on the way.
    work: `<out>.training/`, where it keeps that. Raises NestlingError for steps that have no text
    for some process, and for a `work` that a run with other settings has left.
    """

    def __init__(
        self,
        options: Options,
        material: Material,
        recipe: Recipe,
        accelerator: Accelerator,
        progress: Progress,
    ) -> None:
        self.options, self.material, self.recipe = options, material, recipe
        self.accelerator, self.progress = accelerator, progress
        self.budget = Budget(options.wishes.minutes)
        self.bfloat16 = False
        for phase in (recipe.joint, recipe.finetune):
            phase.check_processes(len(material.train), accelerator.num_processes)
        folder = options.out.with_name(options.out.name + ".training")
        same = settings(options, material, recipe, accelerator.num_processes)
        self.work = Workplace(folder, same, accelerator)
        for doubt in material.doubts:
            progress.note(f"warning: {doubt}")

    def train(self) -> Path:
        """All steps, and the checkpoint."""
        started = time.monotonic()
        model, teacher = self.teacher()
        pool, targets = self.soft_targets(teacher)
        judged = self._judged(teacher)
        self._prepare(model, teacher, pool, targets)
        self._joint_training(model, pool, targets, judged)
        if self.accelerator.is_main_process:
            found = {"bfloat16": self.bfloat16, "seconds": round(time.monotonic() - started)}
            said = provenance(
                self.options, self.material, self.recipe, self.accelerator.num_processes
            )
            finish(model, self.material, judged, self.options.out, said | found, self.progress)
        self.work.remove()
        return self.options.out

    def teacher(self) -> tuple[NestedTransformer, Teacher]:
        """The transformer that becomes the TA, and what judges texts with its weights: the teacher.

        Fine-tunes it first if it has no classifier.
        """
        torch.manual_seed(self.recipe.seed)
        model = NestedTransformer(self.material.architecture, TRAINING)
        model.load_state_dict(model.state_dict() | self.material.imported)
        model.to(self.accelerator.device)
        self._ask_the_machine(model)
        if self.material.pretrained.labels:
            return model, model
        teacher = MeanTeacher(model).to(self.accelerator.device)

        def finetune() -> Weights:
            self._optimise(
                FineTuning(teacher, self.material.train, self.material.held_out, self.recipe),
                FineTuning.name,
            )
            return dict(teacher.state_dict())

        teacher.load_state_dict(self.work.weights("teacher", finetune))
        model.head().requires_grad_()
        return model, teacher

    def _ask_the_machine(self, model: NestedTransformer) -> None:
        """The precision that trains faster here, and how many steps fit into the minutes."""
        train, recipe = self.material.train, self.recipe

        def decide() -> dict[str, Any]:
            self.progress.step("trying float32 and bfloat16")
            judged = len(train) + len(self.material.unlabelled.texts)
            held_out = len(self.material.held_out)
            return before_fine_tuning(model, train, recipe, self.budget, judged, held_out)

        decided = self.work.decision("machine", decide)
        self.bfloat16 = decided["bfloat16"]
        self.recipe = replace(
            recipe,
            finetune=replace(recipe.finetune, steps=decided["finetune"]),
            pool=decided["pool"],
            importance_batches=decided["importance_batches"],
        )
        for line in opening(self.material, self.recipe, self.bfloat16, decided["ratio"]):
            self.progress.note(line)

    def soft_targets(self, teacher: Teacher) -> tuple[Pool, Tensor]:
        """The teacher's logits on the training texts, and on unlabelled and recombined ones."""
        train, unlabelled, recipe = self.material.train, self.material.unlabelled, self.recipe
        targets = self._targets(teacher, "training", train.sequences)
        on_unlabelled = self._targets(teacher, "unlabelled", unlabelled.sequences)
        self.progress.step("recombining texts")
        learnt = 0.0 if self.material.pretrained.labels else recipe.smoothing
        more, their_labels = sure_labels(train.task, unlabelled.texts, on_unlabelled, learnt)
        texts = recombine(
            [*self.material.texts, *more],
            [*train.labels.tolist(), *their_labels],
            recipe.pool,
            recipe.across,
            recipe.seed,
        )
        sequences = tokenise(texts, self.material.tokenizer, self.material.longest)
        self.progress.note(
            f"teacher: soft targets of {len(unlabelled.texts):,} unlabelled texts and "
            f"{len(sequences):,} recombined ones"
        )
        if 2 * len(sequences) < recipe.pool:
            self.progress.note(
                f"warning: of {recipe.pool:,} recombined texts no more were found: texts are "
                "recombined of words between blanks, and of at least two texts of a label"
            )
        on_recombined = self._targets(teacher, "recombined", sequences)
        pool = (*unlabelled.sequences, *sequences)
        judged = torch.cat([on_unlabelled, on_recombined])
        return Pool(pool, judged, len(unlabelled.texts)), targets

    def _targets(self, teacher: Teacher, of: str, texts: Sequence[list[int]]) -> Tensor:
        """The teacher's logits, (texts, labels) float32."""
        full = StudentSpec.full(self.material.architecture)

        def judge() -> Weights:
            if not texts:
                return {"logits": torch.empty(0, len(self.material.architecture.head().labels))}
            phase = f"soft targets of the {of} texts"
            with autocast(self.accelerator.device, self.bfloat16):
                logits = logits_of(teacher, full, texts, "teacher", self.progress, phase)
            return {"logits": logits}

        return self.work.weights(f"targets-{of}", judge)["logits"]

    def _judged(self, teacher: Teacher) -> Tensor:
        """Which of the held-out texts the teacher has right, before its weights move on."""
        full, held_out = StudentSpec.full(self.material.architecture), self.material.held_out

        def judge() -> Weights:
            with autocast(self.accelerator.device, self.bfloat16):
                return {"right": right(teacher, full, held_out, "teacher")}

        return self.work.weights("judged", judge)["right"]

    def _prepare(
        self, model: NestedTransformer, teacher: Teacher, pool: Pool, targets: Tensor
    ) -> None:
        """Order the TA's parts by importance, and teach a new classifier what the teacher says."""
        full = StudentSpec.full(self.material.architecture)
        train, recipe = self.material.train, self.recipe

        def batches() -> Iterator[tuple[PackedBatch, Tensor]]:
            for step in range(recipe.importance_batches):
                self.progress.step("importance of the TA's parts", step, recipe.importance_batches)
                i = turn(step, recipe.finetune.batch_size, len(train), recipe.seed)
                yield pack(train.sequences, i, full), train.taught[i]

        def prepare() -> Weights:
            device = self.accelerator.device
            with attention(device), autocast(device, self.bfloat16):
                order = importance_order(model, teacher, batches())
                weights = {name: t.detach().cpu() for name, t in model.state_dict().items()}
                model.load_state_dict(permute(weights, order, self.material.architecture))
                if not self.material.pretrained.labels:
                    texts = [*train.sequences, *pool.sequences]
                    said = torch.cat([targets, pool.targets])
                    probe(model, texts, said, recipe.temperature, recipe.seed, self.progress)
            return model.state_dict()

        model.load_state_dict(self.work.weights("initial", prepare))

    def _joint_training(
        self, model: NestedTransformer, pool: Pool, targets: Tensor, judged: Tensor
    ) -> None:
        def objective() -> JointTraining:
            m = self.material
            return JointTraining(model, m.students, m.train, targets, pool, m.held_out, self.recipe)

        def decide() -> dict[str, Any]:
            self.progress.step("timing a step of the students")
            return before_joint_training(
                objective(),
                model.device,
                self.bfloat16,
                self.recipe,
                self.budget,
                len(self.material.held_out),
            )

        decided = self.work.decision("joint", decide)
        if warning := too_little(decided, self.recipe):
            self.progress.note(warning)
        joint = replace(self.recipe.joint, steps=decided["joint"])
        self.recipe = replace(self.recipe, joint=joint)
        floor = nothing_learnt(self.material.held_out.labels, judged)
        begun = {name: weight.clone() for name, weight in model.state_dict().items()}
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            name = JointTraining.name + (f"-{attempt}" if attempt > 1 else "")
            if self._optimise(objective(), name, floor) or last:
                return
            rate = self.recipe.joint.learning_rate / 2
            self.progress.note(f"students: begin anew, at half the learning rate, {rate:g}")
            joint = replace(self.recipe.joint, learning_rate=rate)
            self.recipe = replace(self.recipe, joint=joint)
            model.load_state_dict(begun)

    def _optimise(
        self, objective: FineTuning | JointTraining, name: str, floor: float = 0.0
    ) -> int:
        """The step whose weights are kept, 0 where nothing was learnt. name: of its folder."""
        held_out = len(self.material.held_out)
        settings = LoopSettings(
            self.work.path / name,
            self.bfloat16,
            self.recipe.seed,
            self.options.save_every,
            held_out if held_out >= TELLING else 0,
            floor,
        )
        return optimise(objective, self.accelerator, self.progress, settings)
