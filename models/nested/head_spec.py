"""HeadSpec: what a head asks of the trunk, and what its answer is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..limits import check_name, distinct_names

Task = Literal["single_label", "multi_label"]
Reads = Literal["first"]
Asked = Literal["text", "pair"]
TASKS, READS, ASKED = get_args(Task), get_args(Reads), get_args(Asked)
MOST_LABELS = {"multi_label": 62}
"""Of a task, where there is a limit: an answer is a whole number with a bit for each."""
DEFAULT_HEAD = "label"
"""The name of a checkpoint's only head, where nobody has given it another."""


@dataclass(frozen=True)
class HeadSpec:
    """One question that a TA answers of a text.

    name: in requests and in the names of its weights. task: what an answer is; one of the labels
    for `single_label`, any number of them for `multi_label`. labels: names of the classes, in the
    order of the logits. reads: the rows of the trunk that it sees; `first` is the first token's.
    inputs: what it is asked about, one text or a pair.
    """

    name: str
    task: Task
    labels: tuple[str, ...]
    reads: Reads = "first"
    inputs: Asked = "text"

    def to_json(self) -> dict[str, Any]:
        """All but the name, under which a checkpoint has it."""
        return {
            "task": self.task,
            "labels": list(self.labels),
            "reads": self.reads,
            "inputs": self.inputs,
        }

    @classmethod
    def from_json(cls, name: str, data: dict[str, Any]) -> HeadSpec:
        """Raises ValueError that names a field: missing, unknown, or of a value that cannot be."""
        check_name(name, "head")
        if "." in name:
            raise ValueError(f"head {name!r}: its name has a dot, which parts the names of weights")
        where = f"heads: {name}"
        if not isinstance(data, dict):
            raise ValueError(f"{where}: is no object of task, labels and reads")
        data = {"inputs": "text", **data}  # as heads had it before there were pairs
        known = {"task", "labels", "reads", "inputs"}
        if missing := sorted(known - data.keys()):
            raise ValueError(f"{where}: missing {', '.join(missing)}")
        if unknown := sorted(data.keys() - known):
            raise ValueError(f"{where}: unknown {', '.join(unknown)}")
        for field, values in (("task", TASKS), ("reads", READS), ("inputs", ASKED)):
            if data[field] not in values:
                raise ValueError(
                    f"{where}: {field}: {data[field]!r:.64} is none of {', '.join(values)}"
                )
        labels = distinct_names(data["labels"], f"{where}: labels")
        check_labels(data["task"], len(labels), where)
        return cls(name, data["task"], labels, data["reads"], data["inputs"])


def check_labels(task: str, labels: int, where: str) -> None:
    """Raises ValueError for more labels than a task can have."""
    most = MOST_LABELS.get(task, labels)
    if labels > most:
        raise ValueError(f"{where}: {labels} labels; {task} has at most {most}")
