"""`python -m nestling.server.cli`, for launchers that start modules."""

from . import main

main()
