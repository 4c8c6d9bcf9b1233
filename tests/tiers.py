"""Two tiers of tests: `make test` wants Python and git alone; `make test-slow` holds the rest.

A test that starts another program is slow, too: it has the mark `needs`, or uses a fixture of
`STARTS`. Where that program is absent the test is skipped, and the last lines say what was skipped
for it and what brings it. With CI=true nothing may be skipped: then any skip fails the run.
"""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest

from . import programs

STARTS = {"browser": "chromium", "cluster": "initdb", "prometheus": "prometheus"}
"""Programs, by the fixture that starts them."""
LONGEST = (
    "test_image.py",
    "test_processors.py",
    "test_commands.py",
    "test_device.py",
    "test_on_kernels.py",
)
"""Files of which the slow tests take minutes. They begin first, or one process would end long after
the others."""
ABSENT = re.compile(r"(\S+) is not installed")


def programs_of(item: pytest.Item) -> list[str]:
    """The programs of `programs.PACKAGES` that a test starts."""
    marked = [mark.args[0] for mark in item.iter_markers("needs")]
    fixtures = getattr(item, "fixturenames", ())
    return marked + [program for name, program in STARTS.items() if name in fixtures]


@pytest.hookimpl(tryfirst=True)  # before -m chooses by these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for program in programs_of(item):
            if program not in programs.PACKAGES:
                raise pytest.UsageError(
                    f"{item.nodeid}: tests/programs.py does not know {program!r}"
                )
            item.add_marker(pytest.mark.slow)
            if programs.find(program) is None:
                item.add_marker(pytest.mark.skip(reason=f"{program} is not installed"))
    items.sort(key=lambda item: item.path.name not in LONGEST)  # else as collected


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    absent = Counter(found[1] for reason in reasons if (found := ABSENT.search(reason)))
    for program, tests in absent.items():
        skipped = "1 test was" if tests == 1 else f"{tests} tests were"
        terminalreporter.write_line(
            f"{program} is not installed: {skipped} skipped. {programs.command([program])}"
        )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("CI") == "true":
        reporter.write_line(f"CI=true, and {len(skipped)} tests were skipped")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
