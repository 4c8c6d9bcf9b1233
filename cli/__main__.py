"""`python -m nestling.cli`, for launchers that start modules."""

from . import main

main()
