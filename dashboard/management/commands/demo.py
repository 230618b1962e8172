"""``manage.py demo``: the main job on real series, from nothing to a report."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import CommandParser
from django.db import connections

from ansf_platform.first_run.processes import System
from ansf_platform.first_run.rows import ADMIN, Prepared
from ansf_platform.first_run.running import Interrupted, RunningSystem
from ansf_platform.first_run.servers import choose_servers
from ansf_platform.first_run.wishes import Wishes, cores
from ansf_platform.services.errors import ServiceError
from ansf_platform.services.ports import free_port
from ansf_platform.terminal import Command as TerminalCommand
from ansf_platform.terminal import Exit, Failure, Usage
from dashboard.demo import driving, figures, findings, place, report, telling
from dashboard.demo.progress import RunProgress
from dashboard.demo.series import BadSeries, Series, read_series, real_series
from dashboard.demo.windows import cut


class Command(TerminalCommand):
    """Checks the input before anything starts; stops everything before it ends."""

    help = (
        "Start an embedded system of its own, run six swarms over real series (an ECG and the El "
        "Niño index, or a column of your CSV file), show what they found, write a report and stop."
    )
    refusals = (BadSeries,)

    def declare(self, parser: CommandParser) -> None:
        """Input, output, and what happens at the end."""
        parser.add_argument("--csv", type=Path, metavar="FILE", help="a CSV file with a header")
        parser.add_argument("--column", metavar="NAME", help="the column of it to look at")
        parser.add_argument(
            "--report", type=Path, metavar="FILE", default=Path("report.html"), help="(report.html)"
        )
        parser.add_argument(
            "--keep", action="store_true", help="leave the system running until Ctrl-C"
        )
        parser.add_argument("--state-dir", type=Path, help=argparse.SUPPRESS)

    def act(self, options: dict[str, Any]) -> None:
        series = _input(options)
        path = _writable(options["report"])
        if options["state_dir"] is None:
            place.begin_again()
        directory: Path = options["state_dir"]
        try:
            with place.claim(directory):
                self._run(directory, series, path, keep=options["keep"])
        except Interrupted:
            raise Failure("interrupted", Exit.INTERRUPTED) from None
        except (ServiceError, driving.DemoFailed) as error:
            log = place.log_path(directory)
            raise Failure(f"{error}; what every process said is in {log}") from error
        finally:
            connections.close_all()
            place.remove(directory)

    def _run(self, directory: Path, series: list[Series], path: Path, *, keep: bool) -> None:
        wishes = Wishes(state_dir=directory, web_port=free_port(), cpu=cores())
        system = System(wishes, choose_servers(wishes))
        log = place.log_path(directory)
        self.screen.note(f"starting web, coordinator, watch and two worker pools (log: {log})")
        with log.open("w", encoding="utf-8") as lines:
            running = RunningSystem(system, lines)
            with running.started() as prepared:
                self._work(running, series, path)
                if keep:
                    self._keep(running, prepared)

    def _work(self, running: RunningSystem, series: list[Series], path: Path) -> None:
        began = time.monotonic()
        swarms, agents = driving.apply_swarms()
        self.screen.note(f"{swarms} swarms with {agents} agents applied; waiting for the workers")
        if not place.has_compiled_kernels():
            self.screen.note("(the first start compiles the kernels: up to half a minute)")
        driving.await_workers(running)
        cuttings = [cut(one) for one in series]
        run = driving.submit(cuttings)
        self.screen.note(
            f"ready after {time.monotonic() - began:.1f} s; one run, {run.nodes_total} tasks:"
        )
        with RunProgress(self.screen, run.nodes_total) as progress:
            driving.follow(run, running, progress)
        told = telling.Told(figures.measure(run), findings.read(run, cuttings))
        report.write(told, path)
        telling.show(told, path, self.screen)

    def _keep(self, running: RunningSystem, prepared: Prepared) -> None:
        self.screen.note(f"still running: {running.system.url}  {ADMIN} / {prepared.password}")
        self.screen.note("Ctrl-C stops it and forgets its data")
        running.run()


def _input(options: dict[str, Any]) -> list[Series]:
    if options["csv"] is not None:
        return [read_series(options["csv"], options["column"])]
    if options["column"] is not None:
        raise Usage("--column names a column of a CSV file: give the file with --csv")
    return real_series()


def _writable(report: Path) -> Path:
    """The report's path, refused while nothing has been computed yet if it cannot be written."""
    if report.is_dir():
        _refuse(report, "is a directory")
    if not report.parent.is_dir():
        _refuse(report, f"lies in {report.parent}, which is no directory")
    if not os.access(report if report.exists() else report.parent, os.W_OK):
        _refuse(report, "cannot be written")
    return report.resolve()


def _refuse(report: Path, why: str) -> NoReturn:
    raise Usage(f"the report {report} {why}; choose another with --report")
