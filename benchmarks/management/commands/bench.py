"""``manage.py bench SCENARIO``: measure, print, and compare with the targets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from ansf_platform.services.errors import ServiceError
from benchmarks.figures import Findings
from benchmarks.scenarios import SCENARIOS
from benchmarks.targets import targets_of

MISSED = 3


class Command(BaseCommand):
    """Run one scenario on private servers; exit 3 when a target is missed."""

    help = __doc__ or ""
    requires_system_checks = []  # they would load every page and every address

    def add_arguments(self, parser: CommandParser) -> None:
        """Which scenario, how much of it, how to print."""
        parser.add_argument("scenario", choices=sorted(SCENARIOS))
        parser.add_argument("--tasks", type=_positive, help="how many tasks a round has")
        parser.add_argument("--rounds", type=_positive, help="how often it is repeated")
        parser.add_argument("--data", type=Path, help="file to measure with, ANSF_BENCH_DATA")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Measure and print."""
        console = Console(stderr=True)
        if options["data"]:
            os.environ["ANSF_BENCH_DATA"] = str(options["data"])
        try:
            with console.status(f"measuring {options['scenario']} …"):
                findings = SCENARIOS[options["scenario"]](options["tasks"], options["rounds"])
        except (ServiceError, TimeoutError) as error:
            raise CommandError(str(error), returncode=1) from error
        if options["json"]:
            self.stdout.write(json.dumps(findings.as_dict(), indent=2))
        else:
            _print(findings)
        missed = findings.missed()
        if missed:
            raise CommandError("missed: " + "; ".join(missed), returncode=MISSED)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _print(findings: Findings) -> None:
    table = Table(title=f"{findings.scenario}: {findings.command}")
    for heading in ("figure", "value", "spread", "unit", "samples", "target", "what it is"):
        table.add_column(heading, justify="right" if heading in {"value", "spread"} else "left")
    targets = targets_of(findings.scenario)
    for name, figure in findings.figures.items():
        table.add_row(
            name,
            f"{figure.value:,.4g}",
            f"±{figure.spread:.3g}",
            figure.unit,
            str(figure.samples),
            str(targets.get(name, "")),
            figure.note,
        )
    for name, reason in findings.absent.items():
        table.add_row(name, "-", "", "", "", str(targets.get(name, "")), reason)
    Console().print(table)
