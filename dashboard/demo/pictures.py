"""The pictures of a series: where the discordant windows are, and what they are nearest to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from django.utils.safestring import SafeString
from numpy.typing import NDArray

from ansf_platform import svg
from ansf_platform.svg import Scale
from dashboard.demo.findings import Finding, Verdict, strangeness
from dashboard.demo.judging import LIMIT
from dashboard.demo.windows import standardise

WIDTH = 860.0
LEFT = 58.0
RIGHT = WIDTH - 8.0
MARKED = 6
"""Discordant windows drawn and told of; more would only hide each other."""
_CURVE_TOP, _CURVE_BOTTOM = 10.0, 190.0
_LANE = 17.0
_SCORES = 64.0
_AXIS = 34.0
_COLUMNS = 800
_PAIR_WIDTH, _PAIR_HEIGHT = 280.0, 96.0


def of_series(finding: Finding) -> SafeString:
    """The series, a lane for each discordant window with its nearest one, and every score."""
    marked = finding.discordant[:MARKED]
    x = Scale(0, finding.cutting.series.samples.size - 1, LEFT, RIGHT)
    lanes = _CURVE_BOTTOM + 12 + _LANE * len(marked)
    bottom = lanes + (30 if marked else 18) + _SCORES
    parts = [
        *_curve(finding, x, marked),
        *_lanes(marked, x),
        *_scores(finding, x, bottom),
        *_samples_axis(x, bottom),
    ]
    title = f"{finding.cutting.series.title}: {finding.headline}"
    return svg.picture(WIDTH, bottom + _AXIS, title, parts)


def of_pair(finding: Finding, verdict: Verdict) -> SafeString:
    """A discordant window over its nearest one, both standardised by the whole series."""
    cutting = finding.cutting
    both = [
        standardise(cutting.window(index), cutting.mean, cutting.deviation)
        for index in (verdict.nearest, verdict.index)
    ]
    low, high = min(map(min, both)), max(map(max, both))
    x = Scale(0, cutting.length - 1, 4, _PAIR_WIDTH - 4)
    y = Scale(low, high, _PAIR_HEIGHT - 6, 6)
    parts = [
        svg.curve([(x(i), y(value)) for i, value in enumerate(values)], look)
        for values, look in zip(both, ("near", "odd"), strict=True)
    ]
    title = (
        f"samples {verdict.first}-{verdict.last} over "
        f"samples {verdict.nearest_first}-{verdict.nearest_last}"
    )
    return svg.picture(_PAIR_WIDTH, _PAIR_HEIGHT, title, parts)


def _curve(finding: Finding, x: Scale, marked: Sequence[Verdict]) -> Iterator[SafeString]:
    samples = finding.cutting.series.samples
    y = Scale(float(samples.min()), float(samples.max()), _CURVE_BOTTOM, _CURVE_TOP)
    for value in y.ticks(4):
        yield svg.line((LEFT, y(value)), (RIGHT, y(value)), "grid")
        yield svg.text(LEFT - 7, y(value) + 4, svg.number(value), "tick", "end")
    for verdict in marked:
        left, right = x(verdict.first), x(verdict.last)
        yield svg.box((left, _CURVE_TOP), right - left, _CURVE_BOTTOM - _CURVE_TOP, "shade")
    yield svg.curve([(x(i), y(value)) for i, value in _thinned(samples)], "curve")


def _thinned(samples: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    """All samples, or the lowest and highest of every column of pixels."""
    if samples.size <= 2 * _COLUMNS:
        yield from ((float(i), float(value)) for i, value in enumerate(samples))
        return
    edges = np.linspace(0, samples.size, _COLUMNS + 1).astype(int)
    for begin, end in itertools.pairwise(edges):
        part = samples[begin:end]
        for place in sorted((int(part.argmin()), int(part.argmax()))):
            yield float(begin + place), float(part[place])


def _lanes(marked: Sequence[Verdict], x: Scale) -> Iterator[SafeString]:
    """Each discordant window beside its nearest one, numbered as in the text."""
    for number, verdict in enumerate(marked, start=1):
        y = _CURVE_BOTTOM + 12 + _LANE * (number - 1)
        odd, odd_end = x(verdict.first), x(verdict.last)
        near, near_end = x(verdict.nearest_first), x(verdict.nearest_last)
        inner = sorted((odd, odd_end, near, near_end))[1:3]
        yield svg.text(LEFT - 7, y + 10, str(number), "tick", "end")
        yield svg.line((inner[0], y + 6), (inner[1], y + 6), "link")
        yield svg.box((odd, y), odd_end - odd, 12, "odd-box", verdict.sentence)
        title = f"nearest: samples {verdict.nearest_first}-{verdict.nearest_last}"
        yield svg.box((near, y), near_end - near, 12, "near-box", title)


def _scores(finding: Finding, x: Scale, bottom: float) -> Iterator[SafeString]:
    """A bar for each window at its place: the score that decides."""
    scores = [max(0.0, strangeness(verdict)) for verdict in finding.verdicts]
    y = Scale(0, max(LIMIT * 1.25, *scores), bottom, bottom - _SCORES)
    starts = [verdict.first for verdict in finding.verdicts]
    step = min(np.diff(starts)) if len(starts) > 1 else finding.cutting.length
    width = max(2.0, (x(float(step)) - x(0)) * 0.7)
    for verdict, value in zip(finding.verdicts, scores, strict=True):
        middle = x((verdict.first + verdict.last) / 2)
        title = f"samples {verdict.first}-{verdict.last}: {value:.1f}"
        look = "odd-box" if verdict.discordant else "score"
        yield svg.box((middle - width / 2, y(value)), width, bottom - y(value), look, title)
    yield svg.line((LEFT, y(LIMIT)), (RIGHT, y(LIMIT)), "limit")
    yield svg.text(LEFT - 7, y(LIMIT) + 4, f"{LIMIT:g}", "tick", "end")
    yield svg.text(LEFT - 7, bottom, "0", "tick", "end")
    yield svg.text(LEFT + 4, bottom - _SCORES - 4, "modified z-score", "tick")
    yield svg.line((LEFT, bottom), (RIGHT, bottom), "axis")


def _samples_axis(x: Scale, bottom: float) -> Iterator[SafeString]:
    for value in x.ticks(8):
        yield svg.line((x(value), bottom), (x(value), bottom + 4), "axis")
        yield svg.text(x(value), bottom + 17, svg.number(value), "tick", "middle")
    yield svg.text((LEFT + RIGHT) / 2, bottom + 32, "sample", "tick", "middle")
