"""Texts in, decisions out, in this process: what the server does, without a server.

`models.offline` does the same to files, over all cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..cascade.columns import Decisions
from ..cascade.decisions import Decision
from ..cascade.parts import StagePart
from ..checkpoint.manifest import Manifest, read_manifest
from ..cores import cores
from ..errors import NestlingError
from ..heads import task_of
from ..heads.task import Shown
from ..inputs.data.cells import ABSENT, fault_of, shown
from ..inputs.text import Text, joined, parts
from ..runners import RunnerName
from ..runners.base import ModelRunner
from ..runners.choose import RunnerOptions, choose
from ..runners.scheduled import decide, step
from .by_length import by_length

if TYPE_CHECKING:
    from ..checkpoint.load import Checkpoint

MAX_BATCH_TOKENS = 16384
CPU_BATCH_TOKENS = 512
"""What a processor is asked at once stays in its cache: some 32 short texts."""
PARTS = ("the first ", "the second ")
"""What an error calls the texts of a pair."""
WINDOW = 2048
"""Texts of a stream that are held at once: among so many there are enough of each length."""


class Predictor:
    """Answers texts by one policy of a checkpoint.

    policy: `auto`, a student's or a cascade's name, as the runner's own precision is calibrated.
    runner: by default torch.
    Raises NestlingError if the policy is unknown.
    """

    def __init__(
        self, checkpoint: Checkpoint, policy: str = "auto", runner: ModelRunner | None = None
    ) -> None:
        if runner is None:
            from ..runners.torch import TorchRunner  # who brings another needs no torch

            runner = TorchRunner(checkpoint)
        self._begin(runner, policy)

    @classmethod
    def load(cls, path: str | Path, policy: str = "auto", runner: RunnerName = "auto") -> Predictor:
        """Of a checkpoint's directory, by the runner of a name: by default the server's, which is
        the fastest that keeps what the checkpoint promises, and needs no torch on a CPU.

        Raises CheckpointError, and NestlingError for a runner that is not installed.
        """
        found = cls.__new__(cls)
        options = RunnerOptions("auto", threads=cores())
        found._begin(choose(runner, read_manifest(path), options).runner, policy)
        return found

    def _begin(self, runner: ModelRunner, policy: str) -> None:
        self.checkpoint: Manifest = runner.manifest
        self._task = task_of(self.checkpoint.architecture.head())
        self._runner = runner
        self.cascade = self.checkpoint.policy(policy)
        on_cpu = self._runner.device == "cpu"
        self._batch_tokens = CPU_BATCH_TOKENS if on_cpu else MAX_BATCH_TOKENS

    def stream(
        self,
        texts: Iterable[Text | Mapping[str, object]],
        column: str = "text",
        pair_column: str = "text_pair",
    ) -> Iterator[Decision]:
        """One decision per text, in order, of a list, a generator or a data set; few are held at
        once, so that it may be longer than memory.

        texts: strings, or tuples of two where the checkpoint is asked about pairs; also rows, such
        as those of `datasets.Dataset`. column, pair_column: those that hold their texts; a row has
        no second one unless the checkpoint is asked about pairs. Raises NestlingError that names
        the first text which is none, or too long, once it comes to it.
        """
        waiting, first = iter(texts), 0
        columns = (column, pair_column) if self._of_pairs else (column,)
        while window := list(islice(waiting, WINDOW)):
            found = [self._read(each, columns, first + i) for i, each in enumerate(window)]
            yield from self.predict(found, first)
            first += len(window)

    def predict(self, texts: Sequence[Text], first: int = 0) -> Decisions:
        """One decision per text, in order.

        texts: strings, or tuples of two where the checkpoint is asked about pairs. first: the
        number of the first text, for what the error says. Raises NestlingError for a text that is
        too long, and for one text in place of a pair, or a pair in place of a text.
        """
        for index, text in enumerate(texts, start=first):
            self._check_kind(text, index)
        decisions = decide(self.checkpoint, self.cascade, self._encode(texts, first))
        waiting = [StagePart.of(decisions)]
        while waiting:
            whole, left = waiting[0].only(sorted(row for part in waiting for row in part.rows)), []
            for batch in by_length(whole.lengths, self._batch_tokens):
                part = whole.only(sorted(whole.rows[at] for at in batch))
                left += step(self._runner.forward, [part])
            waiting = left
        return decisions

    def label(self, decision: Decision) -> Shown | None:
        """The label that a decision answers, or the list of labels where several may hold; None
        where its policy abstains.
        """
        if decision.abstained:
            return None
        return self._task.shown(decision.answer.label)

    @property
    def _of_pairs(self) -> bool:
        return self.checkpoint.architecture.head().inputs == "pair"

    def _read(self, given: Text | Mapping[str, object], columns: Sequence[str], index: int) -> Text:
        """The text or pair that was given, or that stands in the columns of a row."""
        if isinstance(given, Mapping):
            cells = [(f"{name} ", given.get(name, ABSENT)) for name in columns]
        else:
            self._check_kind(given, index)
            names = PARTS if isinstance(given, tuple) else ("",)
            cells = list(zip(names, parts(given), strict=True))
        found = []
        for name, cell in cells:
            fault = fault_of(cell)
            if fault is not None or not isinstance(cell, str):
                raise NestlingError(f"text {index}: {name}{fault}")
            found.append(cell)
        return joined(found)

    def _check_kind(self, given: object, index: int) -> None:
        """Raises NestlingError unless it is a text, or a pair where the checkpoint is asked about
        pairs; what the texts hold is not looked at.
        """
        if self._of_pairs:
            if not isinstance(given, tuple) or len(given) != 2:
                raise NestlingError(
                    f"text {index}: is {shown(given)}; this checkpoint is asked about pairs of "
                    "texts: give a tuple of two strings"
                )
        elif isinstance(given, tuple):
            raise NestlingError(
                f"text {index}: is {shown(list(given))}; this checkpoint is asked about one text "
                "at a time: give a string"
            )
        elif not isinstance(given, str):
            raise NestlingError(f"text {index}: {fault_of(given)}")

    def _encode(self, texts: Sequence[Text], first: int) -> list[list[int]]:
        limit = self.checkpoint.architecture.max_tokens
        sequences = self.checkpoint.tokenizer.encode(texts)
        for index, tokens in enumerate(sequences, start=first):
            if len(tokens) > limit:
                raise NestlingError(f"text {index}: {len(tokens)} tokens; the limit is {limit}")
        return sequences
