"""Runners: a batch of tokens in, answers out, by one library or another."""

from __future__ import annotations

from typing import Literal, get_args

RunnerName = Literal["auto", "torch", "onnx", "onnx-int8"]
"""The names that `--runner` takes; `choose.RUNNERS` has what each of them makes.

They stand here, where no library is loaded, so that the server's HTTP process knows them.
"""
PINNABLE: tuple[str, ...] = tuple(name for name in get_args(RunnerName) if name != "auto")
"""The names that a variant of an experiment may pin: all but `auto`, which stands for another."""
