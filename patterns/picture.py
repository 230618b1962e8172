"""The picture of a match: the series, and a lane for each pattern that recurs in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from ansf_platform import __version__, svg
from ansf_platform.svg import Scale
from patterns.recurrence import Match

WIDTH, LEFT = 860.0, 70.0
RIGHT = WIDTH - 8.0
ROWS, SHOWN = 100, 200
"""Of the table, and characters of metadata in it."""
LANES = 12
"""Patterns with a lane of their own; the most frequent ones."""
_TOP, _BOTTOM, _LANE = 10.0, 190.0, 18.0
LOOKS = 6


def write(path: Path, match: Match, title: str) -> None:
    """Write a page that needs nothing else. Raises OSError."""
    page = render_to_string(
        "patterns/match.html",
        {
            "version": __version__, "title": title, "match": match, "picture": of(match, title),
            "rows": list(_rows(match)),
            "patterns": len(match.counts), "recurrences": len(match.recurrences),
        },
    )  # fmt: skip
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(page, encoding="utf-8")
    fresh.replace(path)


def _rows(match: Match) -> Iterator[tuple[int, int, str]]:
    """Pattern, recurrences, and what is known about it."""
    notes = {window.pattern: window.metadata for window in match.recurrences}
    for pattern, count in match.counts.most_common(ROWS):
        yield pattern, count, json.dumps(notes[pattern], ensure_ascii=False)[:SHOWN]


def of(match: Match, title: str) -> SafeString:
    """The series over the lanes of the patterns found most often."""
    lanes = [pattern for pattern, _ in match.counts.most_common(LANES)]
    bottom = _BOTTOM + 12 + _LANE * len(lanes)
    x = Scale(0, max(1, match.samples - 1), LEFT, RIGHT)
    parts = [*_curve(match), *_lanes(match, lanes, x), *_axis(x, bottom)]
    told = f"{title}: {len(match.recurrences)} recurrences of {len(match.counts)} patterns"
    return svg.picture(WIDTH, bottom + 34, told, parts)


def _curve(match: Match) -> Iterator[SafeString]:
    low, high = float(match.outline.min()), float(match.outline.max())
    y = Scale(low, high, _BOTTOM, _TOP)
    for value in y.ticks(5):
        yield svg.line((LEFT, y(value)), (RIGHT, y(value)), "grid")
        yield svg.text(LEFT - 7, y(value) + 4, svg.number(value), "tick", "end")
    x = Scale(0, max(1, len(match.outline) - 1), LEFT, RIGHT)
    points = [
        (x(column), y(float(value)))
        for column, pair in enumerate(match.outline)
        for value in (pair if pair[0] != pair[1] else pair[:1])
    ]
    yield svg.curve(points, "curve")


def _lanes(match: Match, lanes: list[int], x: Scale) -> Iterator[SafeString]:
    for number, pattern in enumerate(lanes):
        y = _BOTTOM + 12 + _LANE * number
        yield svg.text(LEFT - 7, y + 11, f"#{pattern}", "tick", "end")
        yield svg.line((LEFT, y + 7), (RIGHT, y + 7), "grid")
        for window in match.recurrences:
            if window.pattern == pattern:
                left = x(window.first)
                title = f"samples {window.first}-{window.last}: score {window.score:.3f}"
                width = max(2.0, x(window.last) - left)
                yield svg.box((left, y + 1), width, 12, f"look-{number % LOOKS}", title)


def _axis(x: Scale, bottom: float) -> Iterator[SafeString]:
    yield svg.line((LEFT, bottom), (RIGHT, bottom), "axis")
    for value in x.ticks(8):
        yield svg.line((x(value), bottom), (x(value), bottom + 4), "axis")
        yield svg.text(x(value), bottom + 17, svg.number(value), "tick", "middle")
    yield svg.text((LEFT + RIGHT) / 2, bottom + 32, "sample", "tick", "middle")
