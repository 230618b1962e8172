"""How calls of models look: shares of levels, scores around the threshold, money."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from gateway.pricing import NANO

register = template.Library()

WIDE, TALL = 100.0, 30.0
CENT = NANO // 100
LEVELS = {
    "exact": "p4",
    "normalised": "p3",
    "similar": "p2",
    "coalesced": "p1",
    "model": "p0",
}
"""Colours of the levels; the word stands beside each."""


@register.filter
def dollars(nano: int) -> str:
    """Nano-dollars, as exactly as they need to be read."""
    if nano and abs(nano) < CENT:
        return f"${nano / NANO:.6f}"
    return f"${nano / NANO:,.2f}"


@register.filter
def percent(share: float | None) -> str:
    """A share of 1."""
    return "–" if share is None else f"{100 * share:.1f} %"


@register.filter
def colour(level: str) -> str:
    """The class of a level's colour."""
    return LEVELS.get(level, "p0")


@register.simple_tag
def shares(hits: Sequence[tuple[str, int]]) -> SafeString:
    """One bar: which level answered how many requests."""
    total = sum(number for _, number in hits) or 1
    at, parts = 0.0, []
    for name, number in hits:
        width = WIDE * number / total
        parts.append((colour(name), f"{at:.2f}", f"{width:.2f}"))
        at += width
    told = ", ".join(f"{name} {number:,}" for name, number in hits)
    return format_html(
        '<svg class="stack" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><rect class="track" width="100" height="10"/>{}</svg>',
        f"answered by level: {told}",
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="10"/>', parts),
    )


@register.simple_tag
def histogram(scores: Sequence[int], threshold: float) -> SafeString:
    """Best scores of the misses in equal bins from 0 to 1, and a line at the threshold."""
    top, wide = max(scores, default=0) or 1, WIDE / max(1, len(scores))
    bars = [
        (
            "allowed" if (number + 0.5) / len(scores) < threshold else "shadowed",
            f"{number * wide + 0.4:.2f}",
            f"{TALL - TALL * count / top:.2f}",
            f"{wide - 0.8:.2f}",
            f"{TALL * count / top:.2f}",
        )
        for number, count in enumerate(scores)
        if count
    ]
    line = f"{WIDE * min(1.0, threshold):.2f}"
    return format_html(
        '<svg class="history large scores" viewBox="0 0 100 30" preserveAspectRatio="none" '
        'role="img" aria-label="{}"><rect class="ground" width="100" height="30"/>{}'
        '<line class="threshold" x1="{}" x2="{}" y1="0" y2="30"/></svg>',
        f"best scores of {sum(scores):,} misses; served from {threshold:.2f}",
        format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', bars),
        line,
        line,
    )
