"""What all variants of one data set and seed start from: teacher, texts and soft targets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from nestling.models.inputs.data import label_indices, read_labelled
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.progress import Progress
from nestling.models.training.examples import Examples, logits_of, pack, turn
from nestling.models.training.loop import optimise
from nestling.models.training.losses import ramp
from nestling.models.training.material import Options
from nestling.models.training.matta import JointTraining, StepInputs
from nestling.models.training.permutation import permute
from nestling.models.training.recipe import Recipe
from nestling.models.training.run import TrainingRun

from .objectives import ChangedTraining
from .orders import OrderName, order_of
from .texts import SetFiles

Weights = dict[str, Tensor]
Students = Mapping[str, StudentSpec]


class Bench:
    """Fine-tunes the teacher and asks it, unless an earlier run with this `folder` has done so.

    steps: of every variant's training. recipe: that of `nestling train`, with this seed.
    """

    def __init__(
        self,
        teacher: str,
        files: SetFiles,
        folder: Path,
        seed: int,
        steps: int,
        accelerator: Accelerator,
        progress: Progress,
    ) -> None:
        self.steps, self.folder, self.recipe = steps, folder, Recipe(seed=seed)
        self._accelerator, self._progress = accelerator, progress
        options = Options(teacher, files.train, files.validation, folder / "teacher")
        run = TrainingRun(options, self.recipe, accelerator, progress)
        self.material = run.material
        self.architecture = run.material.architecture
        self._model, self._teacher = run.teacher()
        self._pool, self._targets = run.soft_targets(self._teacher)
        self._initial: dict[OrderName, Weights] = {}
        labelled = read_labelled(files.test)
        labels = label_indices(labelled, self.architecture.labels, files.test)
        self.test = Examples.of(
            labelled.texts, labels, run.material.tokenizer, run.material.longest
        )

    @property
    def full(self) -> StudentSpec:
        """The TA."""
        return StudentSpec.full(self.architecture)

    def teacher_logits(self) -> Tensor:
        """On the test texts: (texts, labels)."""
        return logits_of(self._teacher, self.full, self.test.sequences, "teacher")

    def logits(self, model: NestedTransformer, spec: StudentSpec, name: str) -> Tensor:
        """A student's on the test texts: (texts, labels)."""
        phase = f"asking {name} about the test texts"
        return logits_of(model.eval(), spec, self.test.sequences, name, self._progress, phase)

    def accuracy(self, logits: Tensor) -> float:
        """Share of the test texts that they answer rightly."""
        return (logits.argmax(-1) == self.test.labels).double().mean().item()

    def initial(self, order: OrderName = "first-order") -> Weights:
        """The TA's weights before training, its parts in this order."""
        if order not in self._initial:
            found = order_of(order, self._model, self._teacher, self._batches(order))
            weights = {n: w.detach().cpu().clone() for n, w in self._model.state_dict().items()}
            if found is not None:
                weights = permute(weights, found, self.architecture)
            self._initial[order] = weights
        return self._initial[order]

    def model(self, order: OrderName = "first-order") -> NestedTransformer:
        """A TA to train."""
        return self.loaded(self.architecture, self.initial(order))

    def loaded(self, architecture: Architecture, weights: Weights) -> NestedTransformer:
        """A TA with these weights, to train."""
        model = NestedTransformer(architecture)
        model.load_state_dict(weights)
        return model.to(self._accelerator.device)

    def joint(
        self, model: NestedTransformer, students: Students, recipe: Recipe | None = None
    ) -> JointTraining:
        """The recipe's objective. recipe: by default as it is."""
        m = self.material
        return JointTraining(
            model, students, m.train, self._targets, self._pool, m.validation, recipe or self.recipe
        )

    def ramped(self, inputs: StepInputs, step: int) -> StepInputs:
        """With the ramp of a training of so many steps."""
        return replace(inputs, ramp=ramp(step, round(self.recipe.ramp * self.steps)))

    def optimise(
        self, name: str, objective: ChangedTraining, steps: int | None = None, **phase: Any
    ) -> None:
        """Train, from the last saved state if it was killed.

        name: of the folder that has the state until the end. steps: by default those of the bench.
        phase: fields of the recipe's `joint` to change.
        """
        steps = steps or self.steps
        kept = self.folder / f"{name}-{self.steps}.training"
        optimise(
            objective,
            replace(self.recipe.joint, **phase),
            steps,
            self._accelerator,
            kept,
            self._progress,
            seed=self.recipe.seed,
            save_every=500,
            evaluate_every=steps,
        )
        shutil.rmtree(kept, ignore_errors=True)  # there is none where it was over sooner

    def _batches(self, order: OrderName) -> Iterator[tuple[PackedBatch, Tensor]]:
        """Of the training texts; weights alone need no more than one to see which of them count."""
        train, size = self.material.train, self.recipe.finetune.batch_size
        count = 1 if order == "magnitude" else self.recipe.importance_batches
        for step in range(count):
            self._progress.step(f"importance, {order}", step, count)
            i = turn(step, size, len(train), self.recipe.seed)
            yield pack(train.sequences, i, self.full), train.labels[i]
