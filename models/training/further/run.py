"""`nestling train --resume-from`: a checkpoint learns from its traffic.

    traffic, and labelled texts that are repeated
    → every student's answers: who was sure and wrong
    → joint training, with the TA as it was for a teacher
    → before and after on texts that were kept apart
    → another checkpoint, unless something became worse

`<out>.training/` keeps what took long, until the checkpoint is written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...checkpoint.manifest import TA, TOKENIZER
from ...checkpoint.save import write_checkpoint
from ...errors import NestlingError
from ...nested.trunk import NestedTransformer
from ...progress import SILENT, Progress
from ..augment import recombine
from ..examples import Examples, logits_of, tokenise
from ..loop import optimise
from ..matta import JointTraining, Pool
from ..recipe import Recipe
from .comparison import Judgement
from .judging import answers_of, compare, truth_of
from .lessons import Lessons, lessons_of
from .material import FurtherMaterial, FurtherOptions, gather_further
from .parts import TextPart

EVALUATIONS = 5
FURTHER = replace(
    Recipe(), joint=replace(Recipe().joint, epochs=3, learning_rate=2e-4), pool=4, pool_ta=16
)
"""As in a first training, but shorter and more slowly: what was learnt is to be kept."""


@dataclass(frozen=True)
class FurtherResult:
    """judgement: before and after. written: None where something is worse and is not kept."""

    judgement: Judgement
    written: Path | None


def train_further(
    options: FurtherOptions, recipe: Recipe = FURTHER, progress: Progress = SILENT
) -> FurtherResult:
    """Train a checkpoint further, and write the other one if nothing became worse.

    Raises NestlingError for what cannot be used, and where numbers are no longer finite.
    """
    if options.out.exists():
        raise NestlingError(f"{options.out}: exists already; a checkpoint is never written over")
    accelerator = Accelerator()
    shown = progress if accelerator.is_main_process else SILENT
    material = gather_further(options, shown)
    for note in material.notes:
        shown.note(note)
    recipe.joint.check_processes(len(material.texts[TextPart.TRAINS]), accelerator.num_processes)
    return FurtherRun(options, recipe, material, accelerator, shown).train()


class FurtherRun:
    """One run and its steps. work: what runs with these very settings have left."""

    def __init__(
        self,
        options: FurtherOptions,
        recipe: Recipe,
        material: FurtherMaterial,
        accelerator: Accelerator,
        progress: Progress,
    ) -> None:
        self.options, self.recipe, self.material = options, recipe, material
        self.accelerator, self.progress = accelerator, progress
        self.checkpoint = material.checkpoint
        self.folder = options.out.with_name(options.out.name + ".training")
        self.work = self.folder / _digest(self._settings())

    def train(self) -> FurtherResult:
        """All steps."""
        started = time.monotonic()
        model = self._model()
        judges = self.material.texts[TextPart.JUDGES]
        before = answers_of(model, self.checkpoint, judges, self.progress, "before: judging")
        state = self._further(model)
        model.load_state_dict(state)
        after = answers_of(model, self.checkpoint, judges, self.progress, "after: judging")
        judgement = Judgement(compare(judges, before, after), TA)
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
            )
            shutil.rmtree(self.folder)
        self.accelerator.wait_for_everyone()
        return FurtherResult(judgement, self.options.out)

    def _model(self) -> NestedTransformer:
        """With weights of its own: the checkpoint's stay as they are."""
        model = NestedTransformer(self.checkpoint.architecture)
        model.load_state_dict(self.checkpoint.model.state_dict())
        return model.to(self.accelerator.device)

    def _further(self, model: NestedTransformer) -> Mapping[str, Tensor]:
        """The weights after training, rounded as they are written; those of a run that was judged
        and not kept, if its settings were the same.
        """
        file = self.work / "after.safetensors"
        known = file.exists()
        self.accelerator.wait_for_everyone()  # all have looked before the first one writes
        if not known:
            self._optimise(model)
            if self.accelerator.is_main_process:
                rounded = {n: t.detach().cpu().bfloat16() for n, t in model.state_dict().items()}
                temporary = file.with_suffix(".unfinished")
                temporary.parent.mkdir(parents=True, exist_ok=True)
                save_file(rounded, temporary)
                temporary.replace(file)
            self.accelerator.wait_for_everyone()
        return {name: tensor.float() for name, tensor in load_file(file).items()}

    def _optimise(self, model: NestedTransformer) -> None:
        texts = self.material.texts[TextPart.TRAINS]
        logits = answers_of(model, self.checkpoint, texts, self.progress, "asking every student")
        lessons = lessons_of(
            [each.label for each in texts],
            logits,
            self.checkpoint.students,
            self.checkpoint.policy(),
        )
        self.progress.note(_told(lessons))
        turns = lessons.turns()
        longest = self.checkpoint.architecture.max_tokens
        sequences = tokenise([each.text for each in texts], self.checkpoint.tokenizer, longest)
        train = Examples(tuple(sequences[i] for i in turns), lessons.truth[turns])
        chooses = self.material.texts[TextPart.CHOOSES] or self.material.texts[TextPart.JUDGES]
        said = answers_of(model, self.checkpoint, chooses, self.progress, "asking every student")
        joint = JointTraining(
            model,
            {n: s.spec for n, s in self.checkpoint.students.items() if n != TA},
            train,
            lessons.targets[turns],
            self._pool(model, lessons),
            Examples(
                tokenise([each.text for each in chooses], self.checkpoint.tokenizer, longest),
                truth_of(chooses, said),
            ),
            self.recipe,
        )
        model.requires_grad_()
        steps = self.recipe.joint.steps(len(train))
        optimise(
            joint,
            self.recipe.joint,
            steps,
            self.accelerator,
            self.work / joint.name,
            self.progress,
            seed=self.recipe.seed,
            save_every=self.options.save_every,
            evaluate_every=max(1, steps // EVALUATIONS),
        )
        model.requires_grad_(False)

    def _pool(self, model: NestedTransformer, lessons: Lessons) -> Pool:
        """New texts recombined from those that train, judged by the TA as it was."""
        texts = [each.text for each in self.material.texts[TextPart.TRAINS]]
        self.progress.step("recombining texts")
        count, seed = self.recipe.pool * len(texts), self.recipe.seed
        new = recombine(texts, lessons.truth.tolist(), count, seed) if count else []
        longest = self.checkpoint.architecture.max_tokens
        sequences = tokenise(new, self.checkpoint.tokenizer, longest)
        if not sequences:
            return Pool((), lessons.targets[:0])
        ta = self.checkpoint.ta.spec
        phase = "the TA judges recombined texts"
        return Pool(sequences, logits_of(model, ta, sequences, TA, self.progress, phase))

    def _settings(self) -> dict[str, Any]:
        """What decides the result: equal settings may resume each other."""
        return {
            "recipe": asdict(self.recipe),
            "weights_sha256": self.checkpoint.weights_sha256,
            "files": self.material.files,
            "processes": self.accelerator.num_processes,
        }

    def _provenance(self, judgement: Judgement, seconds: float) -> dict[str, Any]:
        """That of the earlier checkpoint, and what was done since, a round each."""
        earlier = self.checkpoint.provenance
        done = {
            "from_weights_sha256": self.checkpoint.weights_sha256,
            "files_sha256": self.material.files,
            "texts": {part.value: len(texts) for part, texts in self.material.texts.items()},
            "recipe": asdict(self.recipe),
            "judged": [each.to_json() for each in judgement.compared],
            "worse": [f"{each.student} on {each.where}" for each in judgement.worse],
            "seconds": round(seconds),
            "versions": {name: version(name) for name in ("nestling", "torch", "accelerate")},
        }
        return {**earlier, "further": [*earlier.get("further", []), done]}


def _told(lessons: Lessons) -> str:
    shown = "  ".join(f"{name} {int(rows.sum()):,}" for name, rows in lessons.wrong.items())
    return f"sure and wrong, of {len(lessons.truth):,} texts: {shown}"


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
