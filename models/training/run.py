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
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..architecture import Architecture
from ..batch import PackedBatch
from ..checkpoint import write_checkpoint
from ..data import Labelled, label_indices, read_labelled
from ..errors import DataError, NestlingError
from ..families import family_of
from ..permutation import permute
from ..pretrained import Pretrained, find
from ..progress import SILENT, Progress
from ..spec import StudentSpec
from ..tokenizer import TextTokenizer
from ..transformer import NestedTransformer
from .augment import recombine
from .examples import Examples, logits_of, pack, tokenise, turn
from .finetune import FineTuning, MeanTeacher
from .importance import importance_order
from .loop import optimise
from .matta import JointTraining, Pool
from .recipe import Recipe
from .students import default_students, read_students

Weights = dict[str, Tensor]
Teacher = Callable[[PackedBatch], Tensor]


@dataclass(frozen=True)
class Options:
    """What the user asks for. teacher: a directory or Hub id. students: a JSON file, or none."""

    teacher: str
    data: Path
    validation: Path
    out: Path
    text_column: str = "text"
    label_column: str = "label"
    students: Path | None = None
    longest: int = 128
    save_every: int = 500
    evaluations: int = 10


def train(options: Options, recipe: Recipe, progress: Progress = SILENT) -> Path:
    """Train and write the checkpoint. Raises NestlingError or DataError for what cannot be used."""
    if options.out.exists():
        raise NestlingError(f"{options.out}: exists already; a checkpoint is never written over")
    accelerator = Accelerator(mixed_precision="bf16" if _has_bf16() else "no")
    shown = progress if accelerator.is_main_process else SILENT
    return TrainingRun(options, recipe, accelerator, shown).train()


class TrainingRun:
    """One run and its steps, each of which finds what an earlier, killed run has left.

    work: `<out>.training/`, where it keeps that. Raises NestlingError or DataError for files that
    cannot be used, and for a `work` that a run with other settings has left.
    """

    def __init__(
        self, options: Options, recipe: Recipe, accelerator: Accelerator, progress: Progress
    ) -> None:
        self.options, self.recipe = options, recipe
        self.accelerator, self.progress = accelerator, progress
        progress.step("looking for the teacher")
        self.pretrained = Pretrained.at(find(options.teacher))
        progress.step("reading texts")
        self.data = read_labelled(options.data, options.text_column, options.label_column)
        held_out = read_labelled(options.validation, options.text_column, options.label_column)
        self.labels = self.pretrained.labels or tuple(sorted(set(self.data.labels)))
        if len(self.labels) < 2:
            raise DataError(f"{options.data}: one label only; there is nothing to tell apart")
        self.architecture: Architecture = family_of(self.pretrained.config).architecture(
            self.pretrained.config, self.labels
        )
        self.students = (
            read_students(options.students, self.architecture)
            if options.students
            else default_students(self.architecture)
        )
        self.tokenizer = TextTokenizer(self.pretrained.tokenizer)
        self.train_set = self._examples(self.data, options.data)
        self.validation_set = self._examples(held_out, options.validation)
        self.work = options.out.with_name(options.out.name + ".training")
        self._claim()

    def train(self) -> Path:
        """All steps, and the checkpoint."""
        started = time.monotonic()
        model, teacher = self.teacher()
        pool, targets = self.soft_targets(teacher)
        self._permute(model, teacher)
        joint = JointTraining(
            model, self.students, self.train_set, targets, pool, self.validation_set, self.recipe
        )
        self._optimise(joint, self.recipe.joint)
        if self.accelerator.is_main_process:
            self.progress.step("writing the checkpoint")
            provenance = self._provenance(time.monotonic() - started)
            write_checkpoint(
                self.options.out,
                self.architecture,
                self.students,
                model.state_dict(),
                self.pretrained.tokenizer,
                provenance,
            )
            shutil.rmtree(self.work)
        self.accelerator.wait_for_everyone()
        return self.options.out

    def teacher(self) -> tuple[NestedTransformer, Teacher]:
        """The transformer that becomes the TA, and what judges texts with its weights: the teacher.

        Fine-tunes it first if it has no classifier.
        """
        family = family_of(self.pretrained.config)
        torch.manual_seed(self.recipe.seed)
        model = NestedTransformer(self.architecture)
        imported = family.import_weights(self.pretrained.weights(), self.architecture)
        model.load_state_dict(model.state_dict() | imported)
        model.to(self.accelerator.device)
        if self.pretrained.labels:
            return model, model
        teacher = MeanTeacher(model).to(self.accelerator.device)

        def finetune() -> Weights:
            objective = FineTuning(teacher, self.train_set, self.validation_set, self.recipe)
            self._optimise(objective, self.recipe.finetune)
            return dict(teacher.state_dict())

        teacher.load_state_dict(self._kept("teacher", finetune))
        for part in (model.pooler, model.classifier):
            part.requires_grad_()
        return model, teacher

    def soft_targets(self, teacher: Teacher) -> tuple[Pool, Tensor]:
        """The teacher's logits on the training texts and on recombined ones."""
        count = self.recipe.pool * len(self.train_set)
        self.progress.step("recombining texts")
        texts = recombine(self.data.texts, self.train_set.labels.tolist(), count, self.recipe.seed)
        sequences = tokenise(texts, self.tokenizer, self._longest)
        full = StudentSpec.full(self.architecture)

        def judge() -> Weights:
            def targets(of: str, texts: Sequence[list[int]]) -> Tensor:
                return logits_of(teacher, full, texts, self.progress, f"soft targets of the {of}")

            self.progress.note(f"teacher: soft targets of {len(sequences)} recombined texts")
            with self.accelerator.autocast():
                return {
                    "train": targets("training texts", self.train_set.sequences),
                    "pool": targets("recombined texts", sequences),
                }

        kept = self._kept("targets", judge)
        return Pool(sequences, kept["pool"]), kept["train"]

    def _permute(self, model: NestedTransformer, teacher: Teacher) -> None:
        """Put the TA's most important parts first."""
        full = StudentSpec.full(self.architecture)

        def reorder() -> Weights:
            chosen = [
                turn(step, self.recipe.finetune.batch_size, len(self.train_set), self.recipe.seed)
                for step in range(self.recipe.importance_batches)
            ]

            def batches() -> Iterator[tuple[PackedBatch, Tensor]]:
                for done, i in enumerate(chosen):
                    self.progress.step("importance of the TA's parts", done, len(chosen))
                    yield pack(self.train_set.sequences, i, full), self.train_set.labels[i]

            with self.accelerator.autocast():
                order = importance_order(model, teacher, batches())
            weights = {name: t.detach().cpu() for name, t in model.state_dict().items()}
            return permute(weights, order, self.architecture)

        model.load_state_dict(self._kept("initial", reorder))

    def _optimise(self, objective: FineTuning | JointTraining, phase: Any) -> None:
        steps = phase.steps(len(self.train_set))
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
            "architecture": self.architecture.to_json(),
            "students": {name: spec.to_json() for name, spec in self.students.items()},
            "data_sha256": self.data.sha256,
            "longest": self._longest,
            "processes": self.accelerator.num_processes,
        }

    def _provenance(self, seconds: float) -> dict[str, Any]:
        return {
            "teacher": Path(self.options.teacher).name,
            "data": self.options.data.name,
            "data_sha256": self.data.sha256,
            "examples": len(self.train_set),
            "recipe": asdict(self.recipe),
            "seconds": round(seconds),
            "versions": {name: version(name) for name in ("nestling", "torch", "accelerate")},
            "processes": self.accelerator.num_processes,
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        }

    @property
    def _longest(self) -> int:
        return min(self.options.longest, self.architecture.max_tokens)

    def _examples(self, data: Labelled, path: Path) -> Examples:
        labels = label_indices(data, self.labels, path)
        return Examples.of(data.texts, labels, self.tokenizer, self._longest)


def _has_bf16() -> bool:
    """Whether this machine multiplies in bfloat16 faster than in float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())
