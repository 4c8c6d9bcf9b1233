"""What earlier runs to the same output have left."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nestling.models import Cascade, Stage
from nestling.models.errors import NestlingError
from nestling.models.inputs.data import LabelColumns, TextColumns
from nestling.models.training.further.earlier import (
    bytes_read,
    check_judged,
    digest_of,
    settings_of,
)
from nestling.models.training.further.material import FurtherOptions, gather_further
from nestling.models.training.further.traffic import read_traffic

from .conftest import write_lines

ROWS = [{"text": f"play song number {i}"} for i in range(100)]


def test_settings_have_all_that_decides_the_result(checkpoint_dir: Path, tmp_path: Path) -> None:
    traffic = write_lines(tmp_path / "traffic.jsonl", ROWS)
    options = FurtherOptions(checkpoint_dir, traffic, tmp_path / "out")
    material = gather_further(options)
    checkpoint = material.checkpoint
    students = checkpoint.students
    tiny, ta = students["tiny"], students["ta"]
    others = [
        replace(checkpoint, students={n: s for n, s in students.items() if n != "small"}),
        replace(checkpoint, students={**students, "tiny": replace(tiny, temperature=2.0)}),
        replace(checkpoint, students={**students, "tiny": replace(tiny, spec=ta.spec)}),
        *(
            replace(
                checkpoint,
                cascades={"c": Cascade("c", (Stage(tiny, threshold), Stage(ta, 0.0)))},
                default="c",
            )
            for threshold in (0.8, 0.9)
        ),
    ]
    found = [settings_of(options, material, 1)]
    found += [settings_of(options, replace(material, checkpoint=each), 1) for each in others]
    found += [
        settings_of(replace(options, texts=TextColumns("utterance")), material, 1),
        settings_of(replace(options, labels=LabelColumns("intent")), material, 1),
        settings_of(options, material, 2),
    ]
    assert len(set(map(digest_of, found))) == len(found)
    assert digest_of(settings_of(options, gather_further(options), 1)) == digest_of(found[0])


def left(folder: Path, settings: dict[str, object], judged: bool = True) -> None:
    run = folder / digest_of(settings)
    run.mkdir(parents=True)
    (run / "settings.json").write_text(json.dumps(settings))
    if judged:
        (run / "share.json").write_text("{}")


def test_only_what_was_judged_is_kept_although_it_is_worse(tmp_path: Path) -> None:
    settings = {"recipe": {"seed": 0, "steps": 9}, "files": {"traffic": "ab"}}
    check_judged(settings, tmp_path)  # nothing was judged: the user knows what is asked for
    left(tmp_path, settings | {"files": {"traffic": "cd"}}, judged=False)
    check_judged(settings, tmp_path)
    left(tmp_path, settings | {"recipe": {"seed": 1, "steps": 9}})
    with pytest.raises(NestlingError, match=r"had other settings, in recipe\.seed; repeat that"):
        check_judged(settings, tmp_path)
    left(tmp_path, settings)
    check_judged(settings, tmp_path)


def test_what_an_earlier_run_read_of_a_log(tmp_path: Path) -> None:
    log, folder = tmp_path / "log.jsonl", tmp_path / "out.training"
    assert bytes_read(write_lines(log, ROWS), folder) is None
    options = FurtherOptions(tmp_path, log, tmp_path / "out")
    assert options.folder == folder
    size = log.stat().st_size
    left(folder, {"traffic_bytes": size, "files": {"traffic": read_traffic(log, ()).sha256}})
    left(folder, {"files": {"traffic": "of a version that did not keep the size"}})
    with log.open("a") as more:
        more.write('{"text": "one more"}\n')
    assert bytes_read(log, folder) == size
    write_lines(log, [{**row, "label": "music"} for row in ROWS])
    assert bytes_read(log, folder) is None
