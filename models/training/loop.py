"""The optimisation loop: the only one, for fine-tuning as for joint training.

Every random choice of a step follows from the seed and the step's number, so the state that a
resumed run needs is weights, optimiser and step; it goes on to the same result.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..errors import NotFiniteError
from ..progress import Progress
from .recipe import TrainingPhase

CLIP = 1.0
STATE = "step-"


class Objective(Protocol):
    """What a phase optimises."""

    @property
    def name(self) -> str:
        """Of the phase, in messages and in the working directory."""

    @property
    def advice(self) -> str:
        """What to change where a loss is not finite."""

    @property
    def module(self) -> nn.Module:
        """Forward gives the losses by name; their sum is minimised."""

    @property
    def relative_rates(self) -> Mapping[nn.Parameter, float]:
        """Parameters with a learning rate of their own, relative to the others'."""

    def inputs(self, step: int, rank: int, processes: int) -> tuple[Any, ...]:
        """Arguments of the module's forward for this process' share of a step."""

    def evaluate(self) -> dict[str, float]:
        """Validation accuracy by student."""


def optimise(
    objective: Objective,
    phase: TrainingPhase,
    steps: int,
    accelerator: Accelerator,
    directory: Path,
    progress: Progress,
    *,
    seed: int,
    save_every: int,
    evaluate_every: int,
) -> None:
    """Run a phase from its last saved state, or from the start, to its end.

    directory: where states are kept; the one before is removed once a new one is whole.
    Raises NotFiniteError at the first step whose losses or gradient are not finite.
    """
    optimizer = torch.optim.AdamW(
        _parameter_groups(objective, phase.weight_decay), lr=phase.learning_rate, fused=True
    )
    module, optimizer = accelerator.prepare(objective.module, optimizer)
    done = _resume(accelerator, directory)
    if done:
        progress.note(f"{objective.name}: resumed at step {done} of {steps}")
    module.train()
    for step in range(done, steps):
        torch.manual_seed(_step_seed(seed, step, accelerator.process_index))
        for group in optimizer.param_groups:
            group["lr"] = group["relative"] * phase.rate(step, steps)
        inputs = objective.inputs(step, accelerator.process_index, accelerator.num_processes)
        with _attention(accelerator.device):
            losses: dict[str, Tensor] = module(*inputs)
        where = f"{objective.name}: step {step + 1} of {steps}"
        _check_losses(accelerator, losses, where, objective.advice)
        accelerator.backward(sum(losses.values()))
        norm = accelerator.clip_grad_norm_(module.parameters(), CLIP)
        if not norm.isfinite():  # the same in all processes, which share the gradient
            raise NotFiniteError(f"{where}: the gradient is not finite; {objective.advice}")
        optimizer.step()
        optimizer.zero_grad()
        shown = {name: loss.detach() for name, loss in losses.items()}
        progress.step(objective.name, step + 1, steps, partial(_shown, shown))
        last = step + 1 == steps
        if last or (step + 1) % evaluate_every == 0:
            _on_main(accelerator, partial(_tell_accuracies, objective, progress, where))
        if not last and (step + 1) % save_every == 0:
            _save(accelerator, directory, step + 1)
    accelerator.free_memory(module, optimizer)


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


def _tell_accuracies(objective: Objective, progress: Progress, where: str) -> None:
    try:
        progress.note(_accuracies(objective.evaluate()))
    except NotFiniteError as error:
        raise NotFiniteError(f"{where}: {error}; {objective.advice}") from error


def _shown(losses: Mapping[str, Tensor]) -> str:
    return "loss: " + "  ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())


def _accuracies(found: Mapping[str, float]) -> str:
    shown = "  ".join(f"{name} {100 * value:.2f} %" for name, value in found.items())
    return f"validation accuracy: {shown}"


def _attention(device: torch.device) -> AbstractContextManager[None]:
    """Which of torch's attentions trains. On a CPU the fused one's backward is so slow on short
    sequences that it takes a third of a step; the plain one's is not.
    """
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


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


def _resume(accelerator: Accelerator, directory: Path) -> int:
    """Load the last whole state; the number of steps it holds, or 0."""
    states = sorted(directory.glob(STATE + "*"), key=_steps_of) if directory.is_dir() else []
    if not states:
        return 0
    accelerator.load_state(str(states[-1]))
    return _steps_of(states[-1])


def _steps_of(state: Path) -> int:
    return int(state.name.removeprefix(STATE))


def _save(accelerator: Accelerator, directory: Path, step: int) -> None:
    """Write a state under a temporary name, rename it, and only then remove the older ones."""
    temporary = directory / "unfinished"
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        older = list(directory.glob(STATE + "*"))
        temporary.rename(directory / f"{STATE}{step}")
        for state in older:
            shutil.rmtree(state)
    accelerator.wait_for_everyone()


def _on_main(accelerator: Accelerator, work: Callable[[], None]) -> None:
    if accelerator.is_main_process:
        with accelerator.autocast():
            work()
    accelerator.wait_for_everyone()
