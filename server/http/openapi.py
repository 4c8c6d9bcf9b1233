"""What a route tells OpenAPI of its body, its answer and its path."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

REFERENCES = "#/components/schemas/{model}"
DEFINITIONS = "$defs"
BINARY = {"schema": {"type": "string", "format": "binary"}}


def request_body(
    model: type[BaseModel],
    example: Any,
    *,
    required: bool = True,
    many: bool = False,
    others: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The body, which the route itself reads and checks.

    many: it may be a list of such bodies, too. others: content that is no JSON, by media type.
    """
    schema = model.model_json_schema(ref_template=REFERENCES)
    if many:
        definitions = schema.pop(DEFINITIONS, {}) | {model.__name__: schema}
        one = {"$ref": REFERENCES.format(model=model.__name__)}
        either = [one, {"type": "array", "items": one}]
        schema = {"anyOf": either, DEFINITIONS: definitions}
    content = {"application/json": {"schema": schema, "example": example}, **(others or {})}
    return {"requestBody": {"required": required, "content": content}}


def share_definitions(described: dict[str, Any]) -> None:
    """Put the models within bodies among the components, where their references lead.

    described: OpenAPI's description of an application.
    """
    shared = described.setdefault("components", {}).setdefault("schemas", {})
    for operations in described["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                shared |= content["schema"].pop(DEFINITIONS, {})


def json_shown(
    example: Any, model: Any = None, others: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An answer: an example, its type, and content that is no JSON, by media type."""
    content = {"application/json": {"example": example}, **(others or {})}
    return {"content": content} | ({"model": model} if model else {})


def path_parameters(**examples: str) -> dict[str, Any]:
    """The names in a route's path, each with an example."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "example": example,
            }
            for name, example in examples.items()
        ]
    }
