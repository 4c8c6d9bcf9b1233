"""What a plan knows of a machine, as measured there or estimated, and of the texts."""
