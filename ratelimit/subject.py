"""Whom a decision is about, and the part of a bucket's key that says so.

A template is text with fields of the subject, such as ``{tenant}:{model}``. It holds nothing
else: no format, no attribute, no other template, so it always ends. Values are escaped, so two
subjects never share a key by clever names, and long ones become a digest.
"""

from __future__ import annotations

import hashlib
import re
import string
from dataclasses import dataclass, fields
from functools import lru_cache
from urllib.parse import quote

LONGEST_VALUE = 100  # characters of a value in a key, escaped; a longer one is digested
LONGEST_TEMPLATE = 200
MOST_FIELDS = 8
SELF_REFERENCES = frozenset({"key", "template", "key_template", "policy", "name", "scope"})
_SAFE = "@.-_"
SEPARATOR = re.compile(r"[^A-Za-z0-9@._~%-]")  # what no escaped value holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who does what with what. `tenant`, `user`, `token` are ids, the others names; None: none.

    `swarm`, `agent` and `definition` are names within the tenant; `address` is a client's.
    """

    tenant: str | None = None
    user: str | None = None
    token: str | None = None
    swarm: str | None = None
    agent: str | None = None
    definition: str | None = None
    model: str | None = None
    address: str | None = None


FIELDS = tuple(field.name for field in fields(Subject))

# What a scope counts by. Names that are unique only within a tenant stand beside it.
SCOPE_TEMPLATES: dict[str, str] = {
    "global": "all",
    "tenant": "tenant:{tenant}",
    "user": "user:{user}",
    "token": "token:{token}",
    "swarm": "swarm:{tenant}:{swarm}",
    "agent": "agent:{tenant}:{swarm}:{agent}",
    "definition": "definition:{tenant}:{definition}",
    "model": "model:{model}",
    "address": "address:{address}",
}


class TemplateInvalid(ValueError):
    """A key template that cannot be used; the message says why and what to do."""


@lru_cache(maxsize=1024)
def parse(template: str) -> tuple[tuple[str, str | None], ...]:
    """The template as (text, field or None) pairs. Raises :class:`TemplateInvalid`."""
    if not template or len(template) > LONGEST_TEMPLATE or not template.isprintable():
        raise TemplateInvalid(f"use 1 to {LONGEST_TEMPLATE} printable characters")
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise TemplateInvalid(f"{error}: write fields as {{tenant}}") from error
    return tuple(_part(*piece) for piece in pieces)


def check_template(template: str) -> None:
    """Raise :class:`TemplateInvalid` unless each subject gets a key of its own."""
    parts = parse(template)
    if template.startswith("@"):
        raise TemplateInvalid("it begins with @, which marks tenants: begin with something else")
    named = [name for _, name in parts if name]
    if not named:
        raise TemplateInvalid("it names no field: use scope global, or a field such as {tenant}")
    if len(named) > MOST_FIELDS:
        raise TemplateInvalid(f"it names {len(named)} fields: at most {MOST_FIELDS}")
    if any("{" in text or "}" in text for text, _ in parts):
        raise TemplateInvalid("it holds a doubled brace: write fields as {tenant}")
    if any(name and not SEPARATOR.search(text) for text, name in parts[1:]):
        raise TemplateInvalid("two fields touch: put a : or / between them")


def _part(
    text: str, name: str | None, form: str | None, conversion: str | None
) -> tuple[str, str | None]:
    if name is None:
        return text, None
    if name in SELF_REFERENCES:
        raise TemplateInvalid(
            f"{{{name}}} would make the key part of itself, without end: use {_choices()}"
        )
    if name not in FIELDS:
        raise TemplateInvalid(f"there is no field {{{name}}}: use {_choices()}")
    if form or conversion:
        raise TemplateInvalid(f"{{{name}}} takes no format: write the name alone")
    return text, name


def _choices() -> str:
    return ", ".join(f"{{{name}}}" for name in FIELDS)


def key_of(template: str, subject: Subject) -> str | None:
    """The subject's part of a key; None when the subject lacks a field that the template names."""
    pieces: list[str] = []
    for text, name in parse(template):
        pieces.append(text)
        if name is None:
            continue
        value = getattr(subject, name)
        if value is None:
            return None
        pieces.append(_escaped(value))
    return "".join(pieces)


def _escaped(value: str) -> str:
    short = quote(value[: LONGEST_VALUE + 1], safe=_SAFE, errors="replace")
    if len(short) <= LONGEST_VALUE:
        return short
    digest = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
    return f"~{digest[:32]}"


def fields_of(template: str) -> tuple[str, ...]:
    """The fields that a template names."""
    return tuple(name for _, name in parse(template) if name)
