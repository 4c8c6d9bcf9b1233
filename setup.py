"""Finds the packages: each room at the top level installs as `nestling.<room>`."""

from setuptools import find_packages, setup

ROOMS = ("cli", "kernels", "loadtest", "models", "planning", "server")

setup(
    package_dir={f"nestling.{room}": room for room in ROOMS},
    packages=[
        package
        for room in ROOMS
        for package in (
            f"nestling.{room}",
            *(f"nestling.{room}.{inner}" for inner in find_packages(room)),
        )
    ],
)
