"""OpenAPI's description beyond the routes' own: models of bodies, and which key a route wants."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI

from ..auth import KeyNeeded, Keyring
from ..openapi import share_definitions


def _ways(kind: str, whose: str) -> dict[str, Any]:
    """Two ways to send one kind of key."""
    header = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": whose}
    return {
        f"{kind}Bearer": {"type": "http", "scheme": "bearer", "description": whose},
        f"{kind}Header": header,
    }


SCHEMES = {
    KeyNeeded.USER: _ways("ApiKey", "A user's key, or an administrator's."),
    KeyNeeded.ADMIN: _ways("AdminKey", "An administrator's key."),
}


def complete(app: FastAPI, keyring: Keyring) -> None:
    """Have an application's OpenAPI show the models of its bodies, and which keys its routes want.

    Swagger UI's button Authorize comes of the keys.
    """
    plain = app.openapi

    @cache
    def described() -> dict[str, Any]:
        schema = plain()
        share_definitions(schema)
        used: dict[str, Any] = {}
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                schemes = SCHEMES.get(keyring.wants(path, method.upper()), {})
                if schemes:
                    operation["security"] = [{name: []} for name in schemes]
                    used |= schemes
        if used:
            schema.setdefault("components", {})["securitySchemes"] = used
        return schema

    app.openapi = described  # type: ignore[method-assign]
