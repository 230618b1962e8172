"""``patterns``: namespaces and what they remember; add, search, match, carry in and out."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from ansf_platform import csv_column
from ansf_platform.terminal import Usage
from patterns import everywhere, exchange, memory, namespaces, picture, recurrence
from patterns.api import shapes
from patterns.management import console
from patterns.models import Namespace

NAMESPACE_COLUMNS = ("slug", "patterns", "quota", "dimension", "encoder", "metric", "backend")
HIT_COLUMNS = ("namespace", "id", "score", "count", "metadata")
TOLD_EVERY = 10_000


class Command(console.Command):
    """Namespaces, add, search, delete, reindex, stats, import, export, match."""

    help = "Remember vectors and series, and find those that are like a new one."

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        listed = verb("namespaces", self.namespaces, "List namespaces; create, change, remove one.")
        _with_settings(listed)
        added = self._named(verb("add", self.add, "Remember one vector or series."))
        _with_one(added)
        added.add_argument("--metadata", type=console.objects, default={}, help="A JSON object.")
        found = verb("search", self.search, "The patterns closest to a vector or series.")
        found.add_argument("namespace", nargs="+", help="SLUG, or HOST:SLUG; several are merged.")
        _with_one(found)
        found.add_argument("-k", type=console.whole, default=10, help="Results (10).")
        found.add_argument("--filter", type=console.objects, help="Conditions on metadata.")
        found.add_argument("--exact", action="store_true", help="Compare every vector in float32.")
        gone = self._named(verb("delete", self.delete, "Forget patterns."))
        gone.add_argument("ids", nargs="+", type=console.whole, metavar="ID")
        anew = self._named(verb("reindex", self.reindex, "Make the index anew from the rows."))
        anew.add_argument("--refit", action="store_true", help="Learn the scaler anew as well.")
        self._named(verb("stats", self.stats, "What a namespace holds."))
        taken = self._named(verb("import", self.take_in, "Add the lines of an NDJSON file."))
        taken.add_argument("file", help="- is stdin.")
        self._named(verb("export", self.export, "Print all patterns as NDJSON."))
        match = self._named(verb("match", self.match, "Which patterns recur in a CSV's column."))
        _with_match(match)

    @staticmethod
    def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        parser.add_argument("namespace", help="Slug.")
        return parser

    # --- namespaces
    def namespaces(self, options: dict[str, Any]) -> None:
        """List them, after creating, changing or removing the one that is named."""
        tenant = self.tenant(options)
        wanted = {name: options[name] for name in _SETTINGS if options[name] is not None}
        if options["no_dedup"]:
            wanted["dedup_threshold"] = None
        if options["create"]:
            with transaction.atomic():
                row = namespaces.create(tenant, {"slug": options["create"], **wanted})
                self.record("namespace.create", row, **wanted)
        elif options["change"]:
            with transaction.atomic():
                row = namespaces.named(tenant, options["change"])
                namespaces.configure(row, wanted)
                self.record("namespace.update", row, **wanted)
        elif options["remove"]:
            self._remove(namespaces.named(tenant, options["remove"]), yes=options["yes"])
        elif wanted:
            raise Usage("settings need --create SLUG or --change SLUG")
        rows = Namespace.objects.filter(tenant=tenant)
        told = [shapes.namespace(row) for row in rows]
        if self.screen.as_json:
            self.screen.json({"namespaces": told})
        else:
            self.screen.table(
                NAMESPACE_COLUMNS, ([row[name] for name in NAMESPACE_COLUMNS] for row in told)
            )

    def _remove(self, row: Namespace, *, yes: bool) -> None:
        self.confirm(f"Remove {row} with {row.live} patterns?", yes=yes)
        with transaction.atomic():
            self.record("namespace.delete", row, patterns=row.live)
            namespaces.remove(row)

    # --- patterns
    def add(self, options: dict[str, Any]) -> None:
        """Add one pattern."""
        namespace = self.namespace(options)
        with transaction.atomic():
            added = memory.add(
                namespace, options["vector"], series=options["series"],
                metadata=options["metadata"],
            )  # fmt: skip
            self.record("pattern.add", namespace, new=int(not added.merged))
        if self.screen.as_json:
            self.screen.json(asdict(added))
        elif added.merged:
            self.screen.line(f"pattern {added.id}, seen {added.count} times")
        else:
            self.screen.line(f"pattern {added.id}")

    def search(self, options: dict[str, Any]) -> None:
        """Print what is closest."""
        single = {name: [options[name]] for name in ("vector", "series") if options[name]}
        question = everywhere.Question(
            single.get("vector"), single.get("series"), options["k"], options["filter"],
            options["exact"],
        )  # fmt: skip
        hits = everywhere.search(self.tenant(options), options["namespace"], question).results[0]
        rows = [asdict(hit) for hit in hits]
        if self.screen.as_json:
            self.screen.json({"results": rows})
        else:
            self.screen.table(HIT_COLUMNS, ([row[name] for name in HIT_COLUMNS] for row in rows))

    def delete(self, options: dict[str, Any]) -> None:
        """Forget patterns by id."""
        namespace = self.namespace(options)
        with transaction.atomic():
            count = memory.delete(namespace, options["ids"])
            self.record("pattern.delete", namespace, ids=options["ids"])
        self._say({"deleted": count}, f"deleted {count} of {len(options['ids'])}")

    def reindex(self, options: dict[str, Any]) -> None:
        """Make the index anew."""
        namespace = self.namespace(options)
        with transaction.atomic():
            row = memory.reindex(namespace, refit=options["refit"])
            self.record("namespace.reindex", row, refit=options["refit"])
        told = {"namespace": row.slug, "generation": row.generation, "patterns": row.live}
        self._say(told, f"{row} has {row.live} patterns in generation {row.generation}")

    def stats(self, options: dict[str, Any]) -> None:
        """Print counts and sizes."""
        told = asdict(memory.stats(self.namespace(options)))
        if self.screen.as_json:
            self.screen.json(told)
        else:
            index = told.pop("index")
            self.screen.fields({**told, **index})

    # --- in and out
    def take_in(self, options: dict[str, Any]) -> None:
        """Import NDJSON."""
        namespace = self.namespace(options)
        with console.lines_of(options["file"]) as lines, self.screen.progress("lines", 0) as bar:
            done = exchange.take_in(namespace, lines, bar)
        self.record("pattern.import", namespace, **asdict(done))
        told = f"{done.lines} lines: {done.new} new patterns, {done.merged} merged"
        self._say(asdict(done), told)

    def export(self, options: dict[str, Any]) -> None:
        """Print NDJSON, also with --json."""
        for line in exchange.export(self.namespace(options)):
            self.stdout.write(line + "\n")

    def match(self, options: dict[str, Any]) -> None:
        """Print which patterns recur, and draw it."""
        namespace, path = self.namespace(options), options["csv"]
        with (
            csv_column.reading(path, options["column"], options["longest"]) as (name, samples),
            self.screen.progress("samples", 0) as bar,
        ):
            found = recurrence.match(
                namespace, _counted(samples, bar), length=options["window"], step=options["step"],
                least=options["score"],
            )  # fmt: skip
        if options["picture"] is not None:
            _draw(options["picture"], found, f"{name} of {path.name}")
        self._show(found, options["picture"])

    def _show(self, found: recurrence.Match, drawn: Path | None) -> None:
        rows = [asdict(window) for window in found.recurrences]
        if self.screen.as_json:
            told = {"samples": found.samples, "windows": found.windows, "recurrences": rows}
            counts = [{"pattern": key, "times": n} for key, n in found.counts.most_common()]
            self.screen.json({**told, "patterns": counts, "picture": drawn and str(drawn)})
            return
        columns = ("pattern", "first", "last", "score", "metadata")
        self.screen.table(columns, ([row[name] for name in columns] for row in rows))
        self.screen.note(
            f"{len(rows)} recurrences of {len(found.counts)} patterns in {found.windows} windows"
            + (f"; the picture is in {drawn}" if drawn else "")
        )

    def _say(self, told: dict[str, Any], line: str) -> None:
        if self.screen.as_json:
            self.screen.json(told)
        else:
            self.screen.line(line)


def _counted(samples: Iterator[float], told: Callable[[int], None]) -> Iterator[float]:
    for number, value in zip(itertools.count(1), samples, strict=False):
        if number % TOLD_EVERY == 0:
            told(number)
        yield value


def _draw(path: Path, found: recurrence.Match, title: str) -> None:
    try:
        picture.write(path, found, title)
    except OSError as error:
        raise Usage(f"cannot write {path}: {error.strerror or error}") from error


_SETTINGS = ("description", "dimension", "encoder", "metric", "backend", "quota", "dedup_threshold")


def _with_settings(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    for name in ("create", "change", "remove"):
        which.add_argument(f"--{name}", metavar="SLUG")
    parser.add_argument("--description")
    parser.add_argument("--dimension", type=console.whole)
    parser.add_argument("--encoder", choices=Namespace.Encoder.values)
    parser.add_argument("--metric", choices=Namespace.Metric.values)
    parser.add_argument("--backend", choices=Namespace.Backend.values)
    parser.add_argument("--quota", type=console.whole, help="Patterns at most.")
    parser.add_argument(
        "--dedup-threshold", type=console.share, help="Score from which a vector is merged."
    )
    parser.add_argument("--no-dedup", action="store_true", help="Merge nothing.")
    parser.add_argument("--yes", action="store_true", help="Remove without asking.")


def _with_one(parser: argparse.ArgumentParser) -> None:
    one = parser.add_mutually_exclusive_group(required=True)
    for name in ("vector", "series"):
        one.add_argument(
            f"--{name}", type=console.numbers, metavar="JSON", help="A list, @FILE, or - for stdin."
        )


def _with_match(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("csv", type=Path, metavar="FILE", help="A CSV file with a header.")
    parser.add_argument("--column", metavar="NAME", help="Not needed when there is one only.")
    parser.add_argument("--window", type=console.whole, default=128, help="Samples (128).")
    parser.add_argument("--step", type=console.whole, help="Samples (a quarter of a window).")
    parser.add_argument("--score", type=console.share, default=0.9, help="Least score (0.9).")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="Write an HTML page.")
    parser.set_defaults(longest=csv_column.LONGEST)
