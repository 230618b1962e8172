"""The report: one file with everything in it, readable for years and without a network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string

from ansf_platform import __version__
from ansf_platform.screen import cell
from dashboard.demo import gantt, pictures
from dashboard.demo.figures import DEFINITIONS
from dashboard.demo.findings import Finding
from dashboard.demo.telling import COLUMNS, Told, machine, rows

_TEMPLATE = "demo/page.html"


def write(told: Told, path: Path) -> None:
    """Write the report; the old one stays whole until the new one is. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(render(told), encoding="utf-8")
    fresh.replace(path)


def render(told: Told) -> str:
    """The report as HTML."""
    figures = told.figures
    return render_to_string(
        _TEMPLATE,
        {
            "version": __version__,
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": machine(),
            "tiles": _tiles(told),
            "figures": figures,
            "columns": COLUMNS,
            "rows": [[cell(value) for value in row] for row in rows(told)],
            "definitions": DEFINITIONS,
            "series": [_series(finding) for finding in told.findings],
            "gantt": gantt.of_run(figures),
        },
    )


def _tiles(told: Told) -> list[tuple[str, str]]:
    figures = told.figures
    discordant = sum(len(finding.discordant) for finding in told.findings)
    windows = sum(len(finding.verdicts) for finding in told.findings)
    return [
        (f"{discordant} of {windows}", "windows discordant"),
        (f"{figures.tasks}", "tasks succeeded"),
        (f"{figures.seconds:.2f} s", "from submission to the last end"),
        (f"{figures.tasks_per_s:.0f}/s", "tasks"),
        (f"{sum(swarm.retries for swarm in figures.swarms)}", "retries"),
    ]


def _series(finding: Finding) -> Mapping[str, Any]:
    cutting = finding.cutting
    return {
        "finding": finding,
        "series": cutting.series,
        "samples": cutting.series.samples.size,
        "block": cutting.block,
        "band": cutting.band,
        "picture": pictures.of_series(finding),
        "sentences": finding.sentences,
        "pairs": [
            (number, verdict, pictures.of_pair(finding, verdict))
            for number, verdict in enumerate(finding.discordant[: pictures.MARKED], start=1)
        ],
        "more": max(0, len(finding.discordant) - pictures.MARKED),
    }
