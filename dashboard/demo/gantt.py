"""Who did what when: a row for each agent, its tasks as boxes, grouped by swarm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from django.utils.safestring import SafeString

from ansf_platform import svg
from ansf_platform.svg import Scale
from dashboard.demo.figures import Bar, RunFigures

WIDTH = 860.0
LEFT = 104.0
RIGHT = WIDTH - 8.0
_ROW = 9.0
_GAP = 12.0
_AXIS = 36.0
_THINNEST = 1.2
COLOURS = 6


def of_run(figures: RunFigures) -> SafeString:
    """Every attempt of a run, from its submission on."""
    by_swarm: dict[str, dict[str, list[Bar]]] = defaultdict(lambda: defaultdict(list))
    for bar in figures.bars:
        by_swarm[bar.swarm][bar.agent].append(bar)
    x = Scale(0.0, figures.seconds, LEFT, RIGHT)
    parts: list[SafeString] = []
    top = 4.0
    for number, swarm in enumerate(figures.swarms):
        agents = by_swarm[swarm.slug]
        parts += _swarm(swarm.name, agents, x, top, f"swarm-{number % COLOURS}")
        top += _ROW * len(agents) + _GAP
    parts += _seconds(x, top)
    title = f"{figures.tasks} tasks of {len(figures.swarms)} swarms over {figures.seconds:.1f} s"
    return svg.picture(WIDTH, top + _AXIS, title, parts)


def _swarm(
    name: str, agents: dict[str, list[Bar]], x: Scale, top: float, look: str
) -> Iterator[SafeString]:
    height = _ROW * len(agents)
    yield svg.box((LEFT, top), RIGHT - LEFT, height, "band")
    yield svg.text(LEFT - 8, top + height / 2 + 4, name, "label", "end")
    # As people count: agent 2 before agent 10.
    for row, agent in enumerate(sorted(agents, key=lambda name: (len(name), name))):
        for bar in agents[agent]:
            width = max(_THINNEST, x(bar.end) - x(bar.start))
            corner = (x(bar.start), top + row * _ROW + 1)
            ms = (bar.end - bar.start) * 1000
            title = f"{bar.task} by {agent}: {ms:.1f} ms from {bar.start:.3f} s"
            yield svg.box(corner, width, _ROW - 2, look if bar.worked else "odd-box", title)


def _seconds(x: Scale, top: float) -> Iterator[SafeString]:
    yield svg.line((LEFT, top), (RIGHT, top), "axis")
    for value in x.ticks(8):
        yield svg.line((x(value), top), (x(value), top + 4), "axis")
        yield svg.text(x(value), top + 17, svg.number(value), "tick", "middle")
    yield svg.text((LEFT + RIGHT) / 2, top + 33, "seconds since submission", "tick", "middle")
