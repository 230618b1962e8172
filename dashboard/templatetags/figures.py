"""How numbers, times and states look on the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from coordination.selectors import COUNT_BOUND

register = template.Library()

MINUTE, HOUR, DAY = 60, 3_600, 86_400
TENS = 10
MIB, GIB = 2**20, 2**30


@dataclass(frozen=True, slots=True)
class Look:
    """Colour (a class of the stylesheet) and icon of a state; its word is the state itself."""

    tone: str
    icon: str


LOOKS = {
    "ok": Look("good", "✓"),
    "alive": Look("good", "✓"),
    "leads": Look("good", "✓"),
    "degraded": Look("warn", "▲"),
    "warning": Look("warn", "▲"),
    "paused": Look("warn", "‖"),
    "draining": Look("warn", "↓"),
    "stale": Look("warn", "?"),
    "unknown": Look("quiet", "?"),
    "idle": Look("quiet", "–"),
    "retried": Look("warn", "↻"),
    "timed_out": Look("bad", "◔"),
    "lost": Look("bad", "!"),
    "failed": Look("bad", "✕"),
    "silent": Look("bad", "✕"),
    "critical": Look("bad", "✕"),
    "active": Look("info", "▶"),
}


@register.filter
def state(word: str) -> SafeString:
    """A state in colour, icon and word: no one of them alone."""
    look = LOOKS.get(word, Look("quiet", "•"))
    return format_html(
        '<span class="state {}"><span class="icon" aria-hidden="true">{}</span>{}</span>',
        look.tone,
        look.icon,
        word.replace("_", " "),
    )


@register.filter
def count(number: int) -> str:
    """A whole number with its thousands apart; ≥ where counting stopped at the bound."""
    return f"≥ {number:,}" if number >= COUNT_BOUND else f"{number:,}"


@register.filter
def span(seconds: float | None) -> str:
    """A length of time in its largest units: 0.4 s, 12 s, 3 min, 2 h 5 min, 4 d 3 h."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < TENS:
        return f"{seconds:.1f} s"
    if seconds < MINUTE:
        return f"{int(seconds)} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"
    return f"{seconds // DAY:.0f} d {seconds % DAY // HOUR:.0f} h"


@register.simple_tag
def age(now: datetime, at: datetime | None) -> SafeString | str:
    """How long ago, with the moment itself in the title."""
    if at is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        at.isoformat(),
        f"{at:%Y-%m-%d %H:%M:%S}",
        span((now - at).total_seconds()),
    )


@register.filter
def memory(size: int | None) -> str:
    """Bytes as MiB or GiB."""
    if size is None:
        return "–"
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


@register.filter
def figure(value: float | None) -> str:
    """A measured value, short: 3 digits that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004
