"""``stream``: judge samples as they come, in this process or over the swarms."""

from __future__ import annotations

import argparse
import math
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from ansf_platform.terminal import Exit, Failure, Unavailable, Usage
from coordination import selectors
from coordination.errors import CoordinationError, NotFound
from coordination.management import console
from patterns import namespaces
from patterns.errors import PatternError
from patterns.models import Namespace
from workers.streaming import afar, knowing
from workers.streaming.feed import Direct, Eager, Interruption
from workers.streaming.here import Here, Path
from workers.streaming.plan import Plan, Refused, Watched
from workers.streaming.report import Report
from workers.streaming.session import Pace, Session
from workers.streaming.shedding import Shedder
from workers.streaming.sources import Sources
from workers.streaming.windows import Judge

GATHER_HERE, GATHER_AFAR = 0.005, 0.02
"""Seconds that samples wait for others, so that what a batch costs is shared."""
LATENCY_MS = 80.0


class Command(console.Command):
    """Samples in, verdicts out."""

    help = (
        "Judge a stream of samples as they come. Each line of FILE (- is stdin) is a JSON object "
        'such as {"t": 1.5, "source": "pump", "value": 3.2}. Verdicts are printed as NDJSON, on a '
        "terminal as text; the last line is a summary. Exit codes: 0, 2 when no line can be used, "
        "130 after Ctrl-C."
    )
    refusals: ClassVar[tuple[type[Exception], ...]] = (
        CoordinationError, PatternError, Refused,
    )  # fmt: skip

    def declare(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="NDJSON; - is stdin.")
        what = parser.add_argument_group("what is judged")
        what.add_argument("--window", type=console.positive, default=128, help="Samples (128).")
        what.add_argument("--step", type=console.positive, help="Samples (a quarter of a window).")
        what.add_argument("--signal", default="", help="Windows are of this one (value).")
        by = parser.add_argument_group("by what (at least one)")
        by.add_argument("--namespace", default="", help="Known patterns: slug of a namespace.")
        by.add_argument("--score", type=_share, help="Windows below are unknown (learnt).")
        by.add_argument(
            "--formula", action="append", default=[], help="'always[0:10](value < 5)'; repeatable."
        )
        by.add_argument(
            "--forecast", type=console.positive, nargs="?", const=1, default=0, metavar="PERIOD",
            help="Holt-Winters from the window's past; the season in samples (1: none).",
        )  # fmt: skip
        how = parser.add_argument_group("how")
        how.add_argument("--local", action="store_true", help="In this process, without workers.")
        how.add_argument(
            "--latency-ms", type=_milliseconds, default=LATENCY_MS, metavar="MS",
            help="From sample to verdict (80).",
        )  # fmt: skip
        how.add_argument(
            "--drop", action="store_true", help="Never slow the writer: leave out, and tell."
        )
        how.add_argument("--anomalies", action="store_true", help="Print no other verdicts.")
        how.add_argument("--definition", default=afar.DEFINITION, help="Of the tasks.")
        how.add_argument(
            "--in-flight", type=console.positive, default=afar.IN_FLIGHT, help="Tasks (8)."
        )
        how.add_argument("--priority", type=console.priority, help="Of the tasks, 0 to 9.")
        how.add_argument(
            "--patience", type=console.duration, default=afar.PATIENCE_S, metavar="TIME",
            help="Give up when no task ends for so long (60s).",
        )  # fmt: skip

    def act(self, options: dict[str, Any]) -> None:
        plan, watched = self._plan(options)
        namespace = self._namespace(plan, options)
        if namespace is not None:
            plan = replace(plan, least=self._least(namespace, options["score"]))
        target = options["latency_ms"] / 1000
        report = Report(
            plan, self.screen, self._write, target=target, only_anomalies=options["anomalies"]
        )
        path = self._path(plan, watched, namespace, options)
        gather = min(GATHER_HERE if options["local"] else GATHER_AFAR, target / 8)
        context = max((_context(one, options) for one in watched), default=0)
        monitored = [one for one in watched if options["local"] or not one.travels]
        sources = Sources(plan, watched, context, monitored)
        with _opened(options["file"]) as fd, Interruption() as interruption:
            feed = (Eager if options["drop"] else Direct)(fd, interruption.awake)
            pace = Pace(target, gather, drop=options["drop"], steady=not options["local"])
            try:
                Session(feed, sources, path, report, pace).run(interruption)
            except Unavailable:
                report.lost("abandoned", path.abandon())
                report.summary(path.watchers.judged, sources.count, interrupted=True)
                raise
            finally:
                feed.close()
        for text in path.watchers.unheard() if report.samples else ():
            self.screen.note(f"no source has the signals of {text}")
        stopped = bool(interruption.number)
        report.summary(path.watchers.judged, sources.count, interrupted=stopped)
        if stopped:
            raise Failure("interrupted", Exit.INTERRUPTED)
        if not report.samples:
            why = report.first_bad or "it is empty"
            raise Usage(f"no line of {options['file']} can be used: {why}")

    @staticmethod
    def _plan(options: dict[str, Any]) -> tuple[Plan, list[Watched]]:
        length = options["window"]
        plan = Plan(
            length=length,
            step=options["step"] or max(1, length // 4),
            signal=options["signal"],
            namespace=options["namespace"],
            period=options["forecast"],
            formulas=tuple(dict.fromkeys(options["formula"])),
        )
        plan.check()
        try:
            return plan, [Watched(text) for text in plan.formulas]
        except ValueError as error:
            raise Usage(error) from error

    def _namespace(self, plan: Plan, options: dict[str, Any]) -> Namespace | None:
        if not plan.namespace:
            return None
        found = namespaces.named(self.tenant(options), plan.namespace)
        if not found.encoder:
            raise Usage(f"{found} has no encoder, so it takes vectors only: make one that has")
        return found

    def _least(self, namespace: Namespace, wanted: float | None) -> float:
        """The score below which a window is unknown, as asked for or learnt."""
        if wanted is not None:
            return wanted
        learnt = knowing.least_score(namespace)
        if learnt is None:
            self.screen.note(
                f"{namespace} knows {namespace.live} patterns, too few to learn from: windows "
                f"below {knowing.DEFAULT} are unknown (--score)"
            )
            return knowing.DEFAULT
        self.screen.note(f"windows with a score below {learnt:.3f} are unknown")
        return learnt

    def _path(
        self, plan: Plan, watched: Sequence[Watched], namespace: Namespace | None,
        options: dict[str, Any],
    ) -> Path:  # fmt: skip
        if options["local"]:
            here = Here(plan, Judge(plan, namespace), watched)
            if options["drop"]:
                here.shedder = Shedder(options["latency_ms"] / 1000)
            here.warm()
            return here
        tenant, definition = self.tenant(options), options["definition"]
        try:
            selectors.last_definition(tenant, definition)
        except NotFound as error:
            raise Usage(
                f"{error}: `definition create {afar.DEFINITION}` makes one; or judge in this "
                "process with --local"
            ) from error
        terms = afar.Terms(
            tenant=tenant, target=options["latency_ms"] / 1000, definition=definition,
            in_flight=options["in_flight"], priority=options["priority"],
            patience=options["patience"],
        )  # fmt: skip
        return afar.Afar(plan, watched, terms)

    def _write(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _context(watched: Watched, options: dict[str, Any]) -> int:
    """Samples before new ones that are to be kept for a formula."""
    if options["local"] or not watched.travels:
        return watched.reach
    return watched.context or 0


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """The descriptor to read from. Raises Usage."""
    try:
        fd = os.dup(sys.stdin.fileno()) if path == "-" else os.open(path, os.O_RDONLY)
    except OSError as error:
        raise Usage(f"cannot read {path}: {error.strerror or error}") from error
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise Usage(f"cannot read {path}: it is a directory")
        yield fd
    finally:
        os.close(fd)


def _share(text: str) -> float:
    """Parse a score, -1 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a score from -1 to 1")
    return value


def _milliseconds(text: str) -> float:
    """Parse a number of milliseconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value <= 3_600_000:  # noqa: PLR2004 - said in the message
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds, 1 to 3600000")
    return value
