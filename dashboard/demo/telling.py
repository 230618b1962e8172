"""The outcome of a demo for people and programs: table, findings, JSON."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ansf_platform.screen import Screen
from dashboard.demo.figures import DEFINITIONS, RunFigures
from dashboard.demo.findings import Finding

COLUMNS = (
    *("swarm", "agents", "tasks", "tasks/s"),
    *("wait p50 ms", "wait p95 ms", "run p50 ms", "run p95 ms", "retries"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a run did and what it found."""

    figures: RunFigures
    findings: list[Finding]


def rows(told: Told) -> list[tuple[Any, ...]]:
    """The table per swarm."""
    return [
        (
            one.name,
            one.agents,
            one.tasks,
            one.tasks_per_s,
            one.wait_p50_ms,
            one.wait_p95_ms,
            one.run_p50_ms,
            one.run_p95_ms,
            one.retries,
        )
        for one in told.figures.swarms
    ]


def show(told: Told, report: Path, screen: Screen) -> None:
    """Table, findings and the report's place on stdout; one object with --json."""
    if screen.as_json:
        screen.json({**as_json(told), "report": str(report)})
        return
    figures = told.figures
    screen.line()
    screen.table(COLUMNS, rows(told))
    screen.line(
        f"{figures.tasks} tasks in {figures.seconds:.2f} s: {figures.tasks_per_s:.0f} tasks/s "
        "from submission to the last end",
        "bold",
    )
    for name, meaning in DEFINITIONS.items():
        screen.line(f"  {name}: {meaning}", "dim")
    for finding in told.findings:
        series = finding.cutting.series
        screen.line()
        screen.line(f"{series.title} ({series.source}): {finding.headline}", "bold")
        for sentence in finding.sentences:
            screen.line(f"  {sentence}")
    screen.line()
    screen.line(f"report: {report}")


def as_json(told: Told) -> dict[str, Any]:
    """Every figure under a stable key, with definitions and the machine it was measured on."""
    figures = told.figures
    return {
        "tasks": figures.tasks,
        "seconds": figures.seconds,
        "tasks_per_s": figures.tasks_per_s,
        "swarms": [asdict(swarm) for swarm in figures.swarms],
        "series": [_series(finding) for finding in told.findings],
        "definitions": DEFINITIONS,
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "celery": version("celery"),
        "django": version("django"),
    }


def _series(finding: Finding) -> dict[str, Any]:
    cutting = finding.cutting
    return {
        "name": cutting.series.title,
        "source": cutting.series.source,
        "samples": int(cutting.series.samples.size),
        "window_samples": cutting.length * cutting.block,
        "windows": len(finding.verdicts),
        "verified": finding.verified,
        "kinds": dict(finding.kinds),
        "discordant": [asdict(verdict) for verdict in finding.discordant],
        "findings": finding.sentences,
    }
