"""What all variants of one data set and seed start from: teacher, texts and soft targets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from nestling.kernels.operations import TRAINING
from nestling.models.inputs.data import read_labelled
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.progress import Progress
from nestling.models.training.examples import Examples, logits_of, pack, turn
from nestling.models.training.finetune import FineTuning
from nestling.models.training.loop import LoopSettings, optimise
from nestling.models.training.material import Options, gather_material
from nestling.models.training.matta import JointTraining, Pool
from nestling.models.training.permutation import permute
from nestling.models.training.plan import Wishes
from nestling.models.training.probe import probe
from nestling.models.training.recipe import Recipe
from nestling.models.training.run import TrainingRun
from nestling.models.training.trial import attention, autocast

from .objectives import ChangedTraining
from .orders import OrderName, order_of
from .texts import SetFiles

Weights = dict[str, Tensor]
Students = Mapping[str, StudentSpec]
STATES = "states"
"""Folder of what killed variants go on from."""


class Bench:
    """Fine-tunes the teacher, unless an earlier run with this `folder` has done so.

    steps: of every variant's training. recipe: that of `nestling train --steps`, with this seed.
    Every variant trains to its last step: what the held-out texts say chooses none of its states.
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
        self.folder, self._accelerator, self._progress = folder, accelerator, progress
        wishes = Wishes(steps=steps, seed=seed)
        self._options = Options(teacher, files.train, folder / "teacher", wishes=wishes)
        self.material = gather_material(self._options, progress)
        self.architecture = self.material.architecture
        labelled = read_labelled(files.test)
        head, tokenizer = self.architecture.head(), self.material.tokenizer
        longest = self.material.longest
        self.test = Examples.of(labelled, head, files.test, tokenizer, longest)
        self._run = TrainingRun(
            self._options, self.material, self.material.recipe, accelerator, progress
        )
        self._model, self._teacher = self._run.teacher()
        shutil.rmtree(self._run.work.path / FineTuning.name, ignore_errors=True)  # it is over
        self.recipe = self._run.recipe
        self._judged: dict[float, tuple[Pool, Tensor]] = {}
        self._initial: dict[tuple[OrderName, bool], Weights] = {}

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

    def initial(self, order: OrderName = "first-order", probed: bool = True) -> Weights:
        """The TA's weights before training, its parts in this order.

        probed: whether a new classifier has learnt what the teacher says.
        """
        key = order, probed
        if key not in self._initial:
            device = self._accelerator.device
            with attention(device), autocast(device, self._run.bfloat16):
                found = order_of(order, self._model, self._teacher, self._batches(order))
            weights = {n: w.detach().cpu().clone() for n, w in self._model.state_dict().items()}
            if found is not None:
                weights = permute(weights, found, self.architecture)
            if probed and not self.material.pretrained.labels:
                weights = self._probed(weights)
            self._initial[key] = weights
        return self._initial[key]

    def _probed(self, weights: Weights) -> Weights:
        """As `TrainingRun` begins with them."""
        model, recipe = self.loaded(self.architecture, weights), self.recipe
        pool, targets = self._soft_targets(recipe)
        texts = [*self.material.train.sequences, *pool.sequences]
        said = torch.cat([targets, pool.targets])
        with autocast(self._accelerator.device, self._run.bfloat16):
            probe(model, texts, said, recipe.temperature, recipe.seed, self._progress)
        return {n: w.detach().cpu().clone() for n, w in model.state_dict().items()}

    def model(self, order: OrderName = "first-order", probed: bool = True) -> NestedTransformer:
        """A TA to train."""
        return self.loaded(self.architecture, self.initial(order, probed))

    def loaded(self, architecture: Architecture, weights: Weights) -> NestedTransformer:
        """A TA with these weights, to train."""
        model = NestedTransformer(architecture, TRAINING)
        model.load_state_dict(weights)
        return model.to(self._accelerator.device)

    def joint(
        self, model: NestedTransformer, students: Students, recipe: Recipe | None = None
    ) -> JointTraining:
        """The recipe's objective. recipe: by default as it is."""
        recipe, m = recipe or self.recipe, self.material
        pool, targets = self._soft_targets(recipe)
        return JointTraining(model, students, m.train, targets, pool, m.held_out, recipe)

    def optimise(self, name: str, objective: ChangedTraining) -> None:
        """Train, from the last saved state if it was killed.

        name: of the folder that has the state, inside `STATES`; it stays.
        """
        settings = LoopSettings(
            self.folder / STATES / name,
            self._run.bfloat16,
            self.recipe.seed,
            self._options.save_every,
            telling=0,
        )
        optimise(objective, self._accelerator, self._progress, settings)

    def _soft_targets(self, recipe: Recipe) -> tuple[Pool, Tensor]:
        """The pool of a recipe and its soft targets; another than the bench's is judged anew."""
        if recipe.across not in self._judged:
            run = self._run
            if recipe.across != self.recipe.across:
                options = replace(self._options, out=self.folder / f"across-{recipe.across:g}")
                changed = replace(self.material.recipe, across=recipe.across)
                run = TrainingRun(
                    options, self.material, changed, self._accelerator, self._progress
                )
                run.bfloat16 = self._run.bfloat16
            self._judged[recipe.across] = run.soft_targets(self._teacher)
        return self._judged[recipe.across]

    def _batches(self, order: OrderName) -> Iterator[tuple[PackedBatch, Tensor]]:
        """Of the training texts; weights alone need no more than one to see which of them count."""
        train, size = self.material.train, self.recipe.finetune.batch_size
        count = 1 if order == "magnitude" else self.recipe.importance_batches
        for step in range(count):
            self._progress.step(f"importance, {order}", step, count)
            i = turn(step, size, len(train), self.recipe.seed)
            yield pack(train.sequences, i, self.full), train.taught[i]
