"""`nestling key`: a new API key."""

from __future__ import annotations

from typing import Annotated

import typer

from ..models.errors import NestlingError


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is; one word.")],
) -> None:
    """Print a new key, and the line of the key file that lets it in."""
    from ..server.http.keys import new_key

    if not name or name.split() != [name] or "#" in name:
        raise NestlingError(f"name: {name!r} is not one word without `#`")
    secret, digest = new_key()
    typer.echo(f"key, to be kept by {name} and shown nowhere again:\n  {secret}")
    typer.echo(f"line for the file of --api-keys or --admin-keys:\n  {name} {digest}")
