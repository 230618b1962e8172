"""Where pages find the programs that run beside this one."""

from __future__ import annotations

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def flower_url() -> str:
    """The address of Flower, or "" where none is known."""
    return str(settings.ANSF.get("FLOWER_URL", ""))
