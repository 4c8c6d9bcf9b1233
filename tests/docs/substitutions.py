"""What is run otherwise than the pages say, and why: the one table, and what is not run at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .blocks import Command


@dataclass(frozen=True)
class Substitution:
    """Where `pattern` occurs in a command, `replacement` stands instead, as in `re.sub`.

    page: the only one that it is for, by default all. In a replacement `{teacher}` is a small
    encoder made on the fly, `{root}` the source tree, `{server}` the server's process id.
    """

    pattern: str
    replacement: str
    why: str
    page: str = ""

    def applies(self, command: Command) -> bool:
        at_home = self.page in ("", command.page)
        return at_home and re.search(self.pattern, command.text) is not None

    def apply(self, text: str, places: dict[str, str]) -> str:
        replacement = self.replacement
        for name, value in places.items():
            replacement = replacement.replace(f"{{{name}}}", value)
        return re.sub(self.pattern, replacement, text)


PROVIDES = (
    "import importlib.metadata as m; "
    'missing = set("\\1".split(",")) - set(m.metadata("nestling").get_all("Provides-Extra")); '
    "assert not missing, missing"
)
CHECKED_EXTRA = f"python -c '{PROVIDES}' && test -f {{root}}/constraints.txt"

SUBSTITUTIONS = (
    Substitution(
        r"^make serve\b", "nestling serve", "what it installs is installed; test_make_serves_it"
    ),
    Substitution(
        r"^make ([\w-]+)", r"make --dry-run --directory {root} \1", "it would test itself"
    ),
    Substitution(
        r"^python3 -m venv \.venv && \. \.venv/bin/activate",
        "python -m venv --help > /dev/null",
        "the tests' own environment has all extras",
    ),
    Substitution(
        r"^pip install '\.\[([\w,]+)\]' -c constraints\.txt",
        CHECKED_EXTRA,
        "the tests run on the installed wheel; that the extra is there is checked",
    ),
    Substitution(r"sentence-transformers/all-MiniLM-L6-v2", "{teacher}", "nothing is downloaded"),
    Substitution(
        r"^nestling train (?!--resume-from)[\s\S]*--out (\S+)[\s\S]*",
        r"\g<0> --steps 3 --pool 1 && mv \1 trained && "
        r"cp -r {root}/models/zoo/clinc150 \1",
        "a few steps on a small encoder; the shipped checkpoint is what whole training makes",
    ),
    Substitution(
        r"^(nestling train --resume-from [\s\S]*)--data (\S+)([\s\S]*)",
        r"head -n 64 \2 > few.jsonl && \1--data few.jsonl\3 --steps 3 --pool 0 "
        r"--learning-rate 1e-6",
        "a few steps of the shipped checkpoint",
    ),
    Substitution(
        r"^nestling evaluate .*", r"\g<0> --sample 32 --repeats 2", "its times are not looked at"
    ),
    Substitution(
        r"^(nestling search |python -m benchmarks\.training\.search )[\s\S]*",
        r"\g<0> --minutes 0.15",
        "less of a search; the last option counts",
    ),
    Substitution(
        r"^nestling calibrate my-checkpoint --data (\S+) --(name|precision) .*",
        r"awk 'NR % 3 == 0' \1 > few.jsonl && \g<0> --data few.jsonl --max-drop 0.03",
        "fewer texts, which can keep a smaller promise",
        page="docs/calibration.md",
    ),
    Substitution(r"--shadow 0\.01", "--shadow 1", "of few texts all, of many texts one in 100"),
    Substitution(
        r"^nestling calibrate \S+ --from-shadow .*",
        r"\g<0> --max-drop 0.05",
        "a few hundred texts cannot show half a point",
    ),
    Substitution(r"\bSERVER\b", "{server}", "its process id"),
    Substitution(
        r"--rate 200 --seconds (30|60)",
        "--rate 40 --seconds 3 --max-lag-ms 10000",
        "seconds of load, and no demand on the machine",
    ),
    Substitution(
        r"^nestling loadtest knee [\s\S]*",
        r"\g<0> --rate 300 --seconds 1 --tolerance 1 --tries 1 --max-lag-ms 10000",
        "a rough knee of a busy machine",
    ),
    Substitution(r"^nestling plan --rate 100000.*", r"\g<0> --seconds 4", "a shorter simulation"),
)

EVERY = {"train.jsonl": 2, "validation.jsonl": 2, "test.jsonl": 8}
"""Of the examples' texts each so many-th one is there: all take the pages minutes. Half of those
that calibrate are as few as keep the promises that pages ask for."""

SENDS_TEXTS = r"--from-shadow|--traffic|^nestling replay"
"""Commands before which the texts of the examples have been sent, as traffic would have been."""

NOT_RUN = {
    (
        "docs/calibration.md",
        "nestling calibrate my-checkpoint --data texts.jsonl",
    ): "test_by has one",
    ("docs/data.md", "nestling train --teacher my-teacher"): "tests/models/training has such files",
    ("docs/monitoring.md", "docker compose"): "tests/deploy has the files; no Docker daemon here",
    ("docs/serving.md", "docker build"): "tests/deploy has the image; no Docker daemon here",
    ("docs/serving.md", "docker run"): "tests/deploy has the image; no Docker daemon here",
    ("docs/comparison.md", "python -m benchmarks.peers run"): "installs servers; an hour",
    ("docs/kernels.md", "benchmarks/device.sh"): "needs a GPU",
    (
        "docs/kernels.md",
        "DEVICE=cpu benchmarks/device.sh",
    ): "tests/benchmarks/test_device.py has it",
    ("docs/scale.md", "nestling plan measure"): "needs a GPU",
    ("docs/scale.md", "nestling plan --rate 100000 --hardware h200.json"): "its file is not made",
    ("docs/datasets.md", "python -m benchmarks.training.datasets"): "trains for hours",
    ("docs/datasets.md", "python -m benchmarks.tables"): "test_numbers holds the pages against it",
    ("docs/recipe.md", "python -m benchmarks.training.recipe"): "trains for hours",
    ("docs/training.md", "nestling train"): "tests/models/training has such files",
    ("docs/search.md", "nestling plan measure"): "takes minutes; tests/capacity measures",
    (
        "docs/search.md",
        "python -m benchmarks.capacity.latency",
    ): "takes a minute; tests/models/latency has its parts",
    ("docs/search.md", "nestling search models/zoo/clinc150 --data search.jsonl --out faster"): (
        "its profile is not made"
    ),
    ("docs/recipe.md", "python -m benchmarks.training.confidence"): "takes minutes",
    (
        "docs/recipe.md",
        "python -m benchmarks.training.ablations",
    ): "tests/benchmarks/training has it",
}
"""Page and beginning of a command, and why no test runs it."""


def not_run(command: Command) -> str | None:
    """Why a command is left out; None for one that is run."""
    return next(
        (
            why
            for (page, beginning), why in NOT_RUN.items()
            if page == command.page and command.text.startswith(beginning)
        ),
        None,
    )
