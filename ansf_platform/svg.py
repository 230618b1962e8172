"""The few shapes that pictures in reports consist of; every text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; the middle if all values are one."""
        if self.high <= self.low:
            return (self.start + self.end) / 2
        # Halves first: the difference of two huge values would overflow.
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Round values within the range, about so many of them."""
        span = self.high / 2 - self.low / 2
        if span <= 0:
            return [self.low]
        rough = span / about * 2
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(step * size for step in (1, 2, 5, 10) if step * size >= rough)
        first = math.ceil(self.low / step)
        last = math.floor(self.high / step)
        return [number * step for number in range(first, last + 1)]


def number(value: float) -> str:
    """A value as short as it can be read."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e7 else f"{value:.4g}"  # noqa: PLR2004


def picture(width: float, height: float, title: str, parts: Iterable[SafeString]) -> SafeString:
    """A whole picture; `title` is what a screen reader says."""
    return format_html(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        _px(width),
        _px(height),
        title,
        join(parts),
    )


def join(parts: Iterable[SafeString]) -> SafeString:
    """Shapes one after another; the later ones lie on top."""
    return format_html_join("", "{}", ((part,) for part in parts))


def text(x: float, y: float, content: str, look: str = "", anchor: str = "start") -> SafeString:
    """One line of text; y is its base line."""
    shape = '<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>'
    return format_html(shape, _px(x), _px(y), look, anchor, content)


def line(a: Point, b: Point, look: str) -> SafeString:
    """A straight line."""
    shape = '<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>'
    return format_html(shape, *map(_px, (*a, *b)), look)


def box(corner: Point, width: float, height: float, look: str, title: str = "") -> SafeString:
    """A rectangle from its upper left corner; `title` appears under the pointer."""
    told = format_html("<title>{}</title>", title) if title else SafeString()
    shape = '<rect x="{}" y="{}" width="{}" height="{}" class="{}">{}</rect>'
    return format_html(shape, *map(_px, (*corner, width, height)), look, told)


def curve(points: Sequence[Point], look: str) -> SafeString:
    """A line through the points."""
    path = " ".join(f"{_px(x)},{_px(y)}" for x, y in points)
    return format_html('<polyline points="{}" class="{}"/>', path, look)


def _px(value: float) -> str:
    """A tenth of a pixel is finer than anybody sees, and the file stays small."""
    return f"{value:.1f}".removesuffix(".0")
