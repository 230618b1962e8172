"""Small pieces of the admin's pages: statuses in colour, bodies as text."""

from __future__ import annotations

import json
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

SHOWN = 20_000  # characters of a payload or log on a page; `task show --json` has all


def badge(status: str) -> SafeString:
    """A status, coloured by the stylesheet."""
    return format_html('<span class="status status-{}">{}</span>', status, status)


def short(whole: Any, text: str) -> SafeString:
    """A shortened value on one line, whole when pointed at."""
    return format_html('<span class="short" title="{}">{}</span>', whole, text)


def link(kind: str, row_id: Any, text: Any) -> SafeString:
    """A link to the admin page of a row of coordination; only the text when there is no id."""
    if row_id is None:
        return format_html("{}", text or "–")
    address = reverse(f"admin:coordination_{kind}_change", args=[row_id])
    return format_html('<a href="{}">{}</a>', address, text)


def pretty(value: Any) -> str:
    """A value as indented JSON, cut where a page would become unreadable."""
    return cut(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def cut(text: str) -> str:
    """The first part of a long text, saying how much is left out."""
    left = len(text) - SHOWN
    return text if left <= 0 else f"{text[:SHOWN]}\n… {left:,} characters more"
