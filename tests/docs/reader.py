"""Somebody who follows a page: runs its commands in one folder, in order, beside one server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from ..server.serving import Server
from .blocks import ROOT, Command, PageBlock, blocks, commands, page_name
from .substitutions import EVERY, SENDS_TEXTS, SUBSTITUTIONS, not_run

HERE = r"(localhost|127\.0\.0\.1):8000"
"""Where pages have the server; it listens on a free port instead."""
COPIED = ("benchmarks", "docs", "examples", "models/zoo")
LARGE = 2**20
TEXTS, LIST = 640, 32


class Reader:
    """folder: a copy of the source tree's data, so that nothing of it can be changed."""

    def __init__(self, folder: Path, teacher: Path) -> None:
        self.folder, self.teacher = folder, teacher
        self.server: Server | None = None
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name, copy_function=_copy)
        for file in (folder / "examples").rglob("*.jsonl"):
            lines = file.read_text("utf-8").splitlines(keepends=True)
            file.write_text("".join(lines[:: EVERY[file.name]]), "utf-8")
        self.state = folder / ".variables"
        self.state.touch()
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NESTLING_PORT": "0",
            "NESTLING_TARGET_DELAY_MS": "0",  # a slow machine is no brownout here
            "NESTLING_THREADS": "1",
        }

    def follow(self, page: Path) -> None:
        """Raises AssertionError that names the line at which the page cannot be followed."""
        found = blocks(page)
        for block, following in zip(found, [*found[1:], None], strict=True):
            if block.name:
                (self.folder / block.name).write_text(block.text, "utf-8")
            elif block.language == "sh":
                *others, last = commands(page, block)
                for command in others:
                    self._check(command, None)
                self._check(last, following)
            elif block.language == "python":
                self._python(block, f"{page_name(page)}:{block.line}")

    def _check(self, command: Command, following: PageBlock | None) -> None:
        """Run a command; what it prints is as the next block shows, or at least no error."""
        if not_run(command):
            return
        printed = self._do(command)
        if following and following.shows_output:
            agree(json.loads(following.text), json.loads(printed), str(command))
        else:
            assert not printed.startswith('{"error"'), f"{command}\n{printed}"

    def _do(self, command: Command) -> str:
        """Run a command, or start the server that it is. Returns what it printed."""
        places = {
            "teacher": str(self.teacher),
            "root": str(ROOT),
            "server": str(self.server.process.pid) if self.server else "",
        }
        text = command.text
        for substitution in SUBSTITUTIONS:
            if substitution.applies(command):
                text = substitution.apply(text, places)
        if text.startswith("nestling serve"):
            self._serve(text)
            return ""
        if self.server and re.search(SENDS_TEXTS, text):
            self._send_texts(self.server)
        return self._shell(self._moved(text), str(command))

    def _shell(self, text: str, where: str) -> str:
        """Of a shell that knows what variables the commands before have set."""
        script = f"set -eo pipefail; . {self.state}\n{text}\n"
        if variable := re.match(r"(\w+)=", text):
            script += f"declare -p {variable[1]} >> {self.state}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, f"{where}\nran as: {text}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, f"{where}\n{done.stderr}"
        return done.stdout

    def _serve(self, text: str) -> None:
        """In the background, until the page ends or starts another."""
        self._stop()
        start = f"cd {self.folder} && exec {text.partition('#')[0]}"
        self.server = Server(["bash", "-c", start], self.folder / "server.log", self.environment)

    def _python(self, block: PageBlock, where: str) -> None:
        program = self.folder / "program.py"
        program.write_text(self._moved(block.text), "utf-8")
        self._shell(f"python {program}", where)

    def _moved(self, text: str) -> str:
        """With the address at which the server really is."""
        return re.sub(HERE, self.server.url.removeprefix("http://"), text) if self.server else text

    def _send_texts(self, server: Server) -> None:
        """Lists one after the other, each when the shadow of the one before is in the log."""
        lines = (ROOT / "examples" / "clinc150" / "test.jsonl").read_text("utf-8").splitlines()
        texts = [json.loads(line)["text"] for line in lines[:: len(lines) // TEXTS]]
        log = self.folder / "shadow.jsonl"
        for begin in range(0, len(texts), LIST):
            server.classify(texts[begin : begin + LIST])
            patience = time.monotonic() + 5
            while _lines(log) < begin + LIST and time.monotonic() < patience:
                time.sleep(0.02)

    def _stop(self) -> None:
        if self.server is None:
            return
        with self.server as server:
            server.terminate()
            assert server.wait() == 0, server.log
            assert "Traceback" not in server.log, server.log
        self.server = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop()


def agree(shown: Any, printed: Any, where: str) -> None:
    """The same keys, lengths and words. Numbers are the machine's and the moment's."""
    assert _words(shown) == _words(printed), f"{where}: shows {shown}, and was {printed}"


def _words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _words(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_words(each) for each in value]
    return "a number" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _copy(source: str, target: str) -> None:
    """Small files are copied; large ones are linked: what replaces them replaces the link."""
    if Path(source).stat().st_size > LARGE:
        Path(target).symlink_to(Path(source).resolve())
    else:
        shutil.copy(source, target)


def _lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0
