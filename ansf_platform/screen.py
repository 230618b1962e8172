"""Text for people and JSON for programs: how values look on stdout and stderr.

On a terminal there are tables, colours and bars; piped, plain aligned text; ``NO_COLOR`` is
obeyed. Nothing that a task wrote can drive the terminal: control characters are made visible.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TextIO

from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

STYLES: Mapping[str, str] = {
    "succeeded": "green",
    "ok": "green",
    "alive": "green",
    "running": "cyan",
    "dispatched": "cyan",
    "ready": "blue",
    "scheduled": "blue",
    "blocked": "blue",
    "retried": "yellow",
    "expired": "yellow",
    "cancelled": "yellow",
    "paused": "yellow",
    "degraded": "yellow",
    "stale": "yellow",
    "unknown": "yellow",
    "halted": "yellow",
    "dead": "red",
    "lost": "red",
    "failed": "red",
    "timed_out": "red",
}


def printable(text: str) -> str:
    """`text` with control characters made visible: a log line must not drive the terminal."""
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    if letter.isprintable() or letter in "\n\t":
        return letter
    return letter.encode("unicode_escape").decode("ascii")


def encode(value: Any) -> Any:
    """The JSON form of what `json` does not know: times in ISO 8601, dataclasses as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value)
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)


def cell(value: Any) -> str:
    """One value of a table: local time to the second, three significant figures."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=encode, ensure_ascii=False)
    return str(value)


def bar(part: float, whole: float, width: int = 20) -> str:
    """A bar of `width` cells, filled in proportion; at least one cell for anything above 0."""
    if whole <= 0 or part <= 0:
        return "·" * width
    filled = min(width, max(1, round(width * part / whole)))
    return "█" * filled + "·" * (width - filled)


class Screen:
    """Where one command writes: tables and colours for people, JSON for programs."""

    def __init__(
        self, out: TextIO, err: TextIO, *, as_json: bool = False, colour: bool = True
    ) -> None:
        self.as_json = as_json
        self._file = out
        without = None if colour else True  # None: rich looks at NO_COLOR itself
        self.out = Console(file=out, no_color=without, highlight=False, markup=False)
        self.err = Console(file=err, no_color=without, highlight=False, markup=False)

    @property
    def live(self) -> bool:
        """Whether a person watches stdout."""
        return self.out.is_terminal and not self.as_json

    def json(self, value: Any) -> None:
        """Print one JSON object: indented on a terminal, else on one line."""
        indent = 2 if self.out.is_terminal else None
        self._file.write(json.dumps(value, default=encode, indent=indent) + "\n")
        self._file.flush()

    def line(self, text: str = "", style: str = "") -> None:
        """Print one or more lines of text, never wrapped."""
        self.out.print(Text(printable(text), style=style), soft_wrap=True)

    def clear(self) -> None:
        """Empty the terminal for the next reading; does nothing when piped."""
        self.out.clear()

    def note(self, text: str, style: str = "") -> None:
        """Tell something that is not data: on stderr, so that a pipe stays clean."""
        self.err.print(Text(printable(text), style=style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
        """Print rows under `columns`, or say that there are none."""
        cells = [[printable(cell(value)) for value in row] for row in rows]
        if title:
            self.line(title, "bold")
        if not cells:
            self.line("(none)", "dim")
        elif self.out.is_terminal:
            self.out.print(_framed(columns, cells))
        else:
            self._plain([list(columns), *cells])

    def fields(self, pairs: Mapping[str, Any]) -> None:
        """Print names with their values, one pair a line; empty values are left out."""
        width = max((len(name) for name in pairs), default=0)
        for name, value in pairs.items():
            text = printable(cell(value))
            if text and value not in ([], {}, ()):
                shown = Text(f"{name:<{width}}  ", style="dim")
                self.out.print(shown + Text(text, style=STYLES.get(text, "")), soft_wrap=True)

    def _plain(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
            self._file.write(line.rstrip() + "\n")

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar on stderr while work goes on; the yielded function sets how much is done."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        hidden = not self.err.is_terminal
        with Progress(*columns, console=self.err, transient=True, disable=hidden) as progress:
            task = progress.add_task(description, total=total)
            yield lambda done: progress.update(task, completed=done)

    def ask(self, question: str) -> str:
        """What the person answers to `question`, asked on stderr."""
        return self.err.input(Text(question))


def _framed(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    return table
