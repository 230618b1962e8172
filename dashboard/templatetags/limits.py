"""How limits look: a history of seconds as a small picture, rates and levels as text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil
from urllib.parse import unquote

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboard.templatetags.figures import DAY, HOUR, MINUTE, span
from ratelimit.models import Policy
from ratelimit.selectors import KeyLevel, Seen

register = template.Library()

TALL = 30.0
LOW, EMPTY = 25, 1  # percent left


@register.simple_tag
def history(seen: Seen, kind: str = "spark") -> SafeString:
    """Units of each of the last 60 s as columns: allowed below, denied above, shadowed between."""
    columns = list(zip(seen.allowed, seen.shadowed, seen.denied, strict=True))
    top = max((sum(column) for column in columns), default=0)
    bars = [bar for at, column in enumerate(columns) for bar in _bars(at, column, top)]
    total = sum(seen.allowed), sum(seen.denied)
    return format_html(
        '<svg class="{}" viewBox="0 0 60 {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}{}</svg>',
        f"history {kind}",
        int(TALL),
        f"last 60 seconds: {total[0]:,} units allowed, {total[1]:,} denied, "
        f"at most {top:,} in a second",
        format_html('<rect class="ground" width="60" height="{}"/>', int(TALL)),
        format_html_join("", '<rect class="{}" x="{}" y="{}" width=".8" height="{}"/>', bars),
    )


def _bars(at: int, column: Sequence[int], top: int) -> list[tuple[str, str, str, str]]:
    bars, ground = [], TALL
    for name, units in zip(("allowed", "shadowed", "denied"), column, strict=True):
        if units:
            height = max(1.0, TALL * units / top)
            ground = max(0.0, ground - height)
            bars.append((name, f"{at + 0.1:.1f}", f"{ground:.2f}", f"{height:.2f}"))
    return bars


@register.filter
def rate(value: float) -> str:
    """Units per second, short."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004


@register.filter
def quota(row: Policy) -> str:
    """What a policy allows on the long run, in words."""
    if row.unit == Policy.Unit.CONCURRENCY:
        return f"{row.limit:,} at once"
    return f"{row.limit:,} {row.unit} in {_period(row.period_seconds)}"


def _period(value: Decimal) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value >= size and value % size == 0:
            return f"{value // size} {unit}"
    return f"{value.normalize():f} s"


@register.filter
def units(number: int | None) -> str:
    """A whole number with its thousands apart."""
    return "–" if number is None else f"{number:,}"


@register.filter
def left(level: KeyLevel) -> str:
    """What a key's bucket holds; units that were spent beyond it are owed."""
    if level.state is None:
        return "–"
    held = level.state.remaining
    told = f"{max(0, held):,} of {level.bucket.quota.burst:,} left"
    return told if held >= 0 else f"{told}, {-held:,} owed"


@register.filter
def wait(seconds: float) -> str:
    """A time to wait, never told too short."""
    if seconds < 1:
        return f"{ceil(seconds * 1000)} ms"
    shown = 1 if seconds < MINUTE else MINUTE if seconds < DAY else HOUR
    return span(ceil(seconds / shown) * shown)


@register.filter
def plain(key: str) -> str:
    """A key as its subject was written."""
    return unquote(key)


@register.filter
def fullness(percent: float) -> str:
    """The class of a gauge: how near a bucket is to denying."""
    return "empty" if percent < EMPTY else "low" if percent < LOW else "full"
