"""Another model's answers to the texts that were sent, such as the TA's, for comparison."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .client.plan import SendPlan
from .client.worker import WorkerLoad, WorkerTask
from .errors import LoadtestError
from .results.summary import outcomes
from .setup import Setup

CONNECTIONS, BATCH = 1, 8
"""The reference is asked gently: after the load, one request after another."""
ROUNDS, PAUSE = 5, 1.0
"""Texts that the server is still too busy for are sent again after PAUSE seconds."""
TIMEOUT = 600.0


class Reference:
    """Asks the model about each text once, when its label is first needed.

    The constructor raises LoadtestError if the server does not answer for that model at all.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._labels: NDArray[np.object_] = np.full(len(setup.texts), "", object)
        if setup.reference is not None:
            self._ask(np.zeros(1, np.int32))
            if not self._labels[0]:
                raise LoadtestError(
                    f"reference: {setup.reference!r} does not answer: {self._outcomes}; "
                    "--reference none does without it"
                )

    def labels(self, rows: NDArray[np.int32]) -> NDArray[np.object_] | None:
        """Labels by row of the data, known for these rows; "" where there is no answer.

        None if the set-up has no reference.
        """
        if self._setup.reference is None:
            return None
        for attempt in range(ROUNDS):
            wanted = np.unique(rows)
            wanted = wanted[self._labels[wanted] == ""]
            if not len(wanted):
                break
            if attempt:
                time.sleep(PAUSE)
            self._ask(wanted.astype(np.int32))
        return self._labels

    def described(self) -> dict[str, Any] | None:
        """Its accuracy on the texts that were sent, for the report."""
        if self._setup.reference is None:
            return None
        known = self._labels != ""
        right = self._labels == np.array(self._setup.texts.labels, object)
        return {
            "model": self._setup.reference,
            "texts": int(known.sum()),
            "accuracy": float(right[known].mean()),
        }

    def _ask(self, rows: NDArray[np.int32]) -> None:
        assert self._setup.reference is not None
        sizes = np.full(-(-len(rows) // BATCH), BATCH, np.int32)
        sizes[-1] = len(rows) - sizes[:-1].sum()
        none = np.zeros(len(sizes), np.int16)
        task = WorkerTask(
            self._setup.target,
            self._setup.used[:1],
            self._setup.reference,
            self._setup.texts.texts,
            SendPlan(np.zeros(len(sizes)), none, none - 1, sizes, rows),
            CONNECTIONS,
            TIMEOUT,
            self._setup.slow_seconds,
        )
        records = WorkerLoad(task).run(time.monotonic())
        self._outcomes = outcomes(records.requests.status)
        self._labels[rows] = np.array([*records.labels, ""], object)[records.texts.label]
