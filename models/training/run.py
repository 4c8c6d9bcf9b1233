"""`nestling train`: from an encoder or a fine-tuned teacher to a checkpoint, in one run.

    teacher (fine-tuned first, if it has no classifier)
    → its soft targets on training texts and pool
    → TA, permuted by importance
    → joint training of TA and students
    → checkpoint

Whatever takes long is kept in `<out>.training/` until the checkpoint is written, so that a run
that was killed goes on where it was.
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..checkpoint.save import write_checkpoint
from ..errors import NestlingError, NotFiniteError
from ..inputs.data.fingerprints import TextSample
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from ..progress import SILENT, Progress
from .augment import recombine
from .examples import logits_of, pack, tokenise, turn
from .finetune import FineTuning, MeanTeacher
from .importance import importance_order
from .loop import optimise
from .material import Options, Weights, gather_material
from .matta import JointTraining, Pool
from .permutation import permute
from .recipe import Recipe
from .unlabelled import sure_labels

Teacher = Callable[[PackedBatch], Tensor]


def train(options: Options, recipe: Recipe, progress: Progress = SILENT) -> Path:
    """Train and write the checkpoint.

    Raises NestlingError for what cannot be used, and where numbers are no longer finite: then
    what was kept of the run goes, because going on from there would end there again.
    """
    if options.out.exists():
        raise NestlingError(f"{options.out}: exists already; a checkpoint is never written over")
    accelerator = Accelerator(mixed_precision="bf16" if _has_bf16() else "no")
    shown = progress if accelerator.is_main_process else SILENT
    run = TrainingRun(options, recipe, accelerator, shown)
    try:
        return run.train()
    except NotFiniteError as error:
        if accelerator.is_main_process:
            shutil.rmtree(run.work)
        raise NotFiniteError(f"{error}. No checkpoint is written, no state kept") from error


class TrainingRun:
    """One run and its steps, each of which finds what an earlier, killed run has left.

    work: `<out>.training/`, where it keeps that. Raises NestlingError for files that cannot be
    used, and for a `work` that a run with other settings has left.
    """

    def __init__(
        self, options: Options, recipe: Recipe, accelerator: Accelerator, progress: Progress
    ) -> None:
        self.options, self.recipe = options, recipe
        self.accelerator, self.progress = accelerator, progress
        self.material = gather_material(options, progress)
        for phase in (recipe.joint, recipe.finetune):
            phase.check_processes(len(self.material.train), accelerator.num_processes)
        self.work = options.out.with_name(options.out.name + ".training")
        self._claim()
        for doubt in self.material.doubts:
            progress.note(f"warning: {doubt}")

    def train(self) -> Path:
        """All steps, and the checkpoint."""
        started = time.monotonic()
        model, teacher = self.teacher()
        pool, targets = self.soft_targets(teacher)
        self._permute(model, teacher)
        joint = JointTraining(
            model,
            self.material.students,
            self.material.train,
            targets,
            pool,
            self.material.validation,
            self.recipe,
        )
        self._optimise(joint, self.recipe.joint)
        if self.accelerator.is_main_process:
            self.progress.step("writing the checkpoint")
            provenance = self._provenance(time.monotonic() - started)
            write_checkpoint(
                self.options.out,
                self.material.architecture,
                self.material.students,
                model.state_dict(),
                self.material.pretrained.tokenizer,
                provenance,
                trained_on=TextSample.of(
                    [*self.material.data.texts, *self.material.unlabelled.texts]
                ),
            )
            shutil.rmtree(self.work)
        self.accelerator.wait_for_everyone()
        return self.options.out

    def teacher(self) -> tuple[NestedTransformer, Teacher]:
        """The transformer that becomes the TA, and what judges texts with its weights: the teacher.

        Fine-tunes it first if it has no classifier.
        """
        torch.manual_seed(self.recipe.seed)
        model = NestedTransformer(self.material.architecture)
        model.load_state_dict(model.state_dict() | self.material.imported)
        model.to(self.accelerator.device)
        if self.material.pretrained.labels:
            return model, model
        teacher = MeanTeacher(model).to(self.accelerator.device)

        def finetune() -> Weights:
            objective = FineTuning(
                teacher, self.material.train, self.material.validation, self.recipe
            )
            self._optimise(objective, self.recipe.finetune)
            return dict(teacher.state_dict())

        teacher.load_state_dict(self._kept("teacher", finetune))
        model.head.requires_grad_()
        return model, teacher

    def soft_targets(self, teacher: Teacher) -> tuple[Pool, Tensor]:
        """The teacher's logits on the training texts, and on unlabelled and recombined ones."""
        train, unlabelled, seed = self.material.train, self.material.unlabelled, self.recipe.seed
        full = StudentSpec.full(self.material.architecture)

        def judge(of: str, texts: Sequence[list[int]]) -> Tensor:
            def judged() -> Weights:
                if not texts:
                    return {"logits": torch.empty(0, len(self.material.architecture.labels))}
                phase = f"soft targets of the {of}"
                with self.accelerator.autocast():
                    logits = logits_of(teacher, full, texts, "teacher", self.progress, phase)
                return {"logits": logits}

            return self._kept(f"targets-{of.partition(' ')[0]}", judged)["logits"]

        targets = judge("training texts", train.sequences)
        on_unlabelled = judge("unlabelled texts", unlabelled.sequences)
        self.progress.step("recombining texts")
        more, their_labels = sure_labels(unlabelled.texts, on_unlabelled)
        texts = recombine(
            [*self.material.data.texts, *more],
            [*train.labels.tolist(), *their_labels],
            self.recipe.pool * len(train),
            seed,
        )
        sequences = tokenise(texts, self.material.tokenizer, self.material.longest)
        self.progress.note(
            f"teacher: soft targets of {len(unlabelled.texts):,} unlabelled texts and "
            f"{len(sequences):,} recombined ones"
        )
        on_recombined = judge("recombined texts", sequences)
        return Pool(
            (*unlabelled.sequences, *sequences),
            torch.cat([on_unlabelled, on_recombined]),
            len(unlabelled.texts),
        ), targets

    def _permute(self, model: NestedTransformer, teacher: Teacher) -> None:
        """Put the TA's most important parts first."""
        full = StudentSpec.full(self.material.architecture)

        def reorder() -> Weights:
            chosen = [
                turn(
                    step,
                    self.recipe.finetune.batch_size,
                    len(self.material.train),
                    self.recipe.seed,
                )
                for step in range(self.recipe.importance_batches)
            ]

            def batches() -> Iterator[tuple[PackedBatch, Tensor]]:
                train = self.material.train
                for done, i in enumerate(chosen):
                    self.progress.step("importance of the TA's parts", done, len(chosen))
                    yield pack(train.sequences, i, full), train.taught[i]

            with self.accelerator.autocast():
                order = importance_order(model, teacher, batches())
            weights = {name: t.detach().cpu() for name, t in model.state_dict().items()}
            return permute(weights, order, self.material.architecture)

        model.load_state_dict(self._kept("initial", reorder))

    def _optimise(self, objective: FineTuning | JointTraining, phase: Any) -> None:
        steps = phase.steps(len(self.material.train))
        optimise(
            objective,
            phase,
            steps,
            self.accelerator,
            self.work / objective.name,
            self.progress,
            seed=self.recipe.seed,
            save_every=self.options.save_every,
            evaluate_every=max(1, steps // self.options.evaluations),
        )

    def _kept(self, name: str, build: Callable[[], Weights]) -> Weights:
        """What `build` gives, from the working directory if an earlier run left it there."""
        path = self.work / f"{name}.safetensors"
        missing = not path.exists()
        self.accelerator.wait_for_everyone()  # all have looked before the first one writes
        if missing:
            weights = {n: t.detach().cpu().contiguous() for n, t in build().items()}
            if self.accelerator.is_main_process:
                temporary = path.with_suffix(".unfinished")
                save_file(weights, temporary)
                temporary.replace(path)
            self.accelerator.wait_for_everyone()
        return load_file(path)

    def _claim(self) -> None:
        """Make the working directory, or see that it belongs to a run with the same settings."""
        settings = json.dumps(self._settings(), indent=1)
        file = self.work / "settings.json"
        if file.exists():
            if file.read_text("utf-8") != settings:
                raise NestlingError(
                    f"{self.work}: left by a run with other settings; remove it to start anew"
                )
        elif self.accelerator.is_main_process:
            self.work.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(".unfinished")
            temporary.write_text(settings, "utf-8")
            temporary.replace(file)
        self.accelerator.wait_for_everyone()

    def _settings(self) -> dict[str, Any]:
        """What decides the result: equal settings may resume each other."""
        return {
            "recipe": asdict(self.recipe),
            "architecture": self.material.architecture.to_json(),
            "students": {name: spec.to_json() for name, spec in self.material.students.items()},
            "data_sha256": self.material.data.sha256,
            "probabilities": self.options.probabilities_column,
            "unlabelled_sha256": self.material.unlabelled.sha256,
            "longest": self.material.longest,
            "processes": self.accelerator.num_processes,
        }

    def _provenance(self, seconds: float) -> dict[str, Any]:
        return {
            "teacher": Path(self.options.teacher).name,
            "data": self.options.data.name,
            "probabilities": self.options.probabilities_column,
            "data_sha256": self.material.data.sha256,
            "validation_sha256": self.material.held_out.sha256,
            "examples": len(self.material.train),
            "unlabelled_sha256": self.material.unlabelled.sha256,
            "unlabelled": len(self.material.unlabelled.texts),
            "recipe": asdict(self.recipe),
            "seconds": round(seconds),
            "versions": {name: version(name) for name in ("nestling", "torch", "accelerate")},
            "processes": self.accelerator.num_processes,
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        }


def _has_bf16() -> bool:
    """Whether this machine multiplies in bfloat16 faster than in float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())
