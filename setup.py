"""Finds the packages: every room at the top level installs as `nestling.<room>`."""

from pathlib import Path

from setuptools import find_packages, setup

NOT_INSTALLED = {"benchmarks", "tests"}
ROOMS = sorted({each.parent.name for each in Path().glob("*/__init__.py")} - NOT_INSTALLED)

setup(
    package_dir={f"nestling.{room}": room for room in ROOMS},
    packages=[
        f"nestling.{room}{'.' if inner else ''}{inner}"
        for room in ROOMS
        for inner in ("", *find_packages(room))
    ],
)
