"""How the API's page names a schema and links to it."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.filter
def schema_name(schema: dict[str, Any]) -> str:
    """The last part of a reference, or the kind of an inline schema."""
    items = schema.get("items")
    if isinstance(items, dict):
        return f"list of {schema_name(items)}"
    reference = str(schema.get("$ref", ""))
    return reference.rsplit("/", 1)[-1] or str(schema.get("type", "anything"))


@register.filter
def schema_link(schema: dict[str, Any]) -> str:
    """The place on the page where the schema is shown."""
    reference = str(schema.get("$ref") or schema.get("items", {}).get("$ref", ""))
    return f"#schema-{reference.rsplit('/', 1)[-1]}" if reference else "#schemas"
