"""The optimisation loop: the only one, for fine-tuning as for joint training.

Every random choice of a step follows from the seed and the step's number, so the state that a
resumed run needs is weights, optimiser, step and what the held-out part said; it goes on to the
same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from ..errors import NotFiniteError
from ..progress import Progress
from .best import Best
from .recipe import TrainingPhase
from .states import States
from .trial import attention, autocast

CLIP = 1.0
EVALUATIONS = 10
"""Of a phase, on the held-out part."""


class Objective(Protocol):
    """What a phase optimises."""

    @property
    def name(self) -> str:
        """Of the phase, in messages and in the working directory."""

    @property
    def phase(self) -> TrainingPhase:
        """Its steps and their rates."""

    @property
    def advice(self) -> str:
        """What to change where a loss is not finite."""

    @property
    def module(self) -> nn.Module:
        """Forward gives the losses by name; their sum is minimised. It holds no part twice, since
        its state is written as safetensors.
        """

    @property
    def relative_rates(self) -> Mapping[nn.Parameter, float]:
        """Parameters with a learning rate of their own, relative to the others'."""

    def inputs(self, step: int, rank: int, processes: int) -> tuple[Any, ...]:
        """Arguments of the module's forward for this process' share of a step."""

    def evaluate(self) -> dict[str, float]:
        """Held-out accuracy by student; empty where nothing is held out."""


@dataclass(frozen=True)
class LoopSettings:
    """directory: where states are kept. save_every: steps between them, besides the evaluations'.

    telling: held-out texts that may choose a state; 0 keeps the last. floor: the
    held-out accuracy that is no more than if nothing was learnt.
    """

    directory: Path
    bfloat16: bool
    seed: int
    save_every: int
    telling: int
    floor: float = 0.0


def accelerator_of_a_run() -> Accelerator:
    """For `optimise`, which knows precisions itself, and in some of whose steps the TA rests."""
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(mixed_precision="no", kwargs_handlers=[unused])


def optimise(
    objective: Objective,
    accelerator: Accelerator,
    progress: Progress,
    settings: LoopSettings,
) -> int:
    """Run a phase from its last saved state, or from the start, to its end.

    The objective's module has then the weights that the held-out part keeps (`Best`), and the
    number of their steps is returned; 0 where nothing was learnt. Raises NotFiniteError at
    the first step whose losses or gradient are not finite.
    """
    phase = objective.phase
    optimizer = torch.optim.AdamW(
        _parameter_groups(objective, phase.weight_decay), lr=phase.learning_rate, fused=True
    )
    module, optimizer = accelerator.prepare(objective.module, optimizer)
    best = Best(settings.telling, floor=settings.floor)
    states = States(accelerator, settings.directory, best)
    done = states.resume()
    if done:
        progress.note(f"{objective.name}: resumed at step {done} of {phase.steps}")
    module.train()
    evaluate_every = -(-phase.steps // EVALUATIONS)
    for step in range(done, phase.steps):
        if best.stop:
            said = f"it has been getting worse since step {best.kept}"
            if best.astray:
                said = "it learns nothing"
            progress.note(
                f"{objective.name}: stopped at step {step} of {phase.steps}: held-out texts say "
                f"that {said}"
            )
            break
        torch.manual_seed(_step_seed(settings.seed, step, accelerator.process_index))
        for group in optimizer.param_groups:
            group["lr"] = group["relative"] * phase.rate(step)
        inputs = objective.inputs(step, accelerator.process_index, accelerator.num_processes)
        with attention(accelerator.device), autocast(accelerator.device, settings.bfloat16):
            losses: dict[str, Tensor] = module(*inputs)
        where = f"{objective.name}: step {step + 1} of {phase.steps}"
        _check_losses(accelerator, losses, where, objective.advice)
        accelerator.backward(sum(losses.values()))
        norm = accelerator.clip_grad_norm_(module.parameters(), CLIP)
        if not norm.isfinite():  # the same in all processes, which share the gradient
            raise NotFiniteError(f"{where}: the gradient is not finite; {objective.advice}")
        optimizer.step()
        optimizer.zero_grad()
        shown = {name: loss.detach() for name, loss in losses.items()}
        progress.step(objective.name, step + 1, phase.steps, partial(_shown, shown))
        last = step + 1 == phase.steps
        told = last or (step + 1) % evaluate_every == 0
        if told:
            with autocast(accelerator.device, settings.bfloat16):
                score = _held_out_score(accelerator, objective, progress, where)
            if best.saw(score, step + 1):
                states.keep(objective.module)
        if not last and (told or (step + 1) % settings.save_every == 0):
            states.save(step + 1)
    states.load_kept(objective.module)
    accelerator.free_memory(module, optimizer)
    return 0 if best.astray else best.kept


def _check_losses(
    accelerator: Accelerator, losses: Mapping[str, Tensor], where: str, advice: str
) -> None:
    """All processes stop together: one that went on would wait for the others for ever."""
    finite = torch.stack([loss.detach().isfinite() for loss in losses.values()])
    everywhere = accelerator.reduce(finite.float(), "mean").tolist()
    wrong = [name for name, share in zip(losses, everywhere, strict=True) if share < 1]
    if wrong:
        said = ", ".join(f"of {name} {losses[name].item():g}" for name in wrong)
        raise NotFiniteError(f"{where}: the loss is not finite: {said}; {advice}")


def _held_out_score(
    accelerator: Accelerator, objective: Objective, progress: Progress, where: str
) -> float:
    """Mean held-out accuracy of all students, found by the first process and told to the others.

    Raises NotFiniteError in all of them.
    """
    told: list[Any] = [0.0, None]
    if accelerator.is_main_process:
        try:
            found = objective.evaluate()
        except NotFiniteError as error:
            told[1] = f"{where}: {error}; {objective.advice}"
        else:
            if found:
                progress.note(accuracies(found, "held-out accuracy"))
                told[0] = sum(found.values()) / len(found)
    broadcast_object_list(told)
    if told[1] is not None:
        raise NotFiniteError(told[1])
    return float(told[0])


def _shown(losses: Mapping[str, Tensor]) -> str:
    return "loss: " + "  ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())


def accuracies(found: Mapping[str, float], of: str) -> str:
    """A line for the user. found: shares by name."""
    return f"{of}: " + "  ".join(f"{name} {100 * value:.2f} %" for name, value in found.items())


def _parameter_groups(objective: Objective, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters by learning rate and decay; norms and biases are not decayed."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in objective.module.parameters():
        if parameter.requires_grad:
            relative = objective.relative_rates.get(parameter, 1.0)
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((relative, decay), []).append(parameter)
    return [
        {"params": parameters, "relative": relative, "weight_decay": decay}
        for (relative, decay), parameters in groups.items()
    ]


def _step_seed(seed: int, step: int, rank: int) -> int:
    return (seed * 1_000_003 + step) * 1_009 + rank
