"""How the API's page names a schema and links to it."""

from __future__ import annotations

import re
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

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


@register.filter
def inline_code(text: str) -> SafeString:
    """Text with its ``backquoted`` parts as code; everything is escaped first."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)).replace("\n", "<br>")
    return mark_safe(marked)  # noqa: S308 - escaped above
