"""Figures: numbers with a unit, a sample count and a spread, printed as JSON or as a table."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from benchmarks.targets import targets_of

PACKAGES = ("celery", "kombu", "Django", "psycopg", "redis", "amqp", "django-celery-results")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    value: float
    unit: str
    samples: int
    spread: float = 0.0
    """Half the distance between the 25th and 75th percentile, in the same unit."""
    note: str = ""


@dataclass(slots=True)
class Findings:
    """What a scenario measured."""

    scenario: str
    command: str
    figures: dict[str, Figure] = field(default_factory=dict)
    servers: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Figures that could not be measured, and why."""

    def add(self, name: str, figure: Figure) -> None:
        """Keep a figure under a stable name."""
        self.figures[name] = figure

    def missed(self) -> list[str]:
        """Targets that were not reached, in words."""
        targets = targets_of(self.scenario)
        return [
            f"{name} is {self.figures[name].value:.4g} {self.figures[name].unit}, wanted {target}"
            for name, target in targets.items()
            if name in self.figures and not target.met_by(self.figures[name].value)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers under stable keys, and beside them what they mean."""
        return {
            "scenario": self.scenario,
            "command": self.command,
            **dict.fromkeys(self.absent),
            **{name: round(figure.value, 6) for name, figure in self.figures.items()},
            "absent": self.absent,
            "details": {
                name: {
                    "unit": figure.unit,
                    "samples": figure.samples,
                    "spread": round(figure.spread, 6),
                    "note": figure.note,
                }
                for name, figure in self.figures.items()
            },
            "targets": {name: str(t) for name, t in targets_of(self.scenario).items()},
            "missed": self.missed(),
            "machine": machine(),
            "versions": {**versions(), **self.servers},
        }


def median(values: Sequence[float], unit: str, note: str = "") -> Figure:
    """The median of repeated measurements with half the interquartile range."""
    spread = 0.0
    if len(values) > 1:
        quarters = statistics.quantiles(values, n=4, method="inclusive")
        spread = (quarters[2] - quarters[0]) / 2
    return Figure(statistics.median(values), unit, len(values), spread, note)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "load_1m": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """With what."""
    found: Mapping[str, str] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found = {**found, package: version(package)}
        except PackageNotFoundError:
            continue
    return dict(found)
