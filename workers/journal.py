"""Log lines and progress of running attempts, written by children, read by the beat.

One file per attempt, appended to by the one who runs it, so that `task logs -f` shows lines
while a handler runs, and lines survive a child that is killed. Each line of the file is a JSON
object: ``log`` adds text, ``progress`` and ``note`` replace what was reported before.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

MAX_LOG = 64 * 1024  # characters kept of an attempt
MAX_FILE = 8 * MAX_LOG  # bytes; then the file is written anew with what is kept

Seen = dict[str, tuple[int, int]]


@dataclass(slots=True)
class Journal:
    """The log of one attempt."""

    path: str | None
    """None: only in memory (tests, direct calls)."""
    text: str = ""
    progress: float | None = None
    note: str = ""
    _file: int | None = None
    _written: int = 0

    def write(self, line: str) -> None:
        """Add a line; beyond the bound the oldest text goes."""
        added = line.rstrip("\n")[-MAX_LOG:] + "\n"
        self.text = (self.text + added)[-MAX_LOG:]
        self._append({"log": added})

    def report(self, progress: float | None, note: str) -> None:
        """Set how far the handler is (0 to 1) and a short note."""
        self.progress = None if progress is None else min(1.0, max(0.0, progress))
        self.note = note[:200]
        self._append({"progress": self.progress, "note": self.note})

    def close(self) -> None:
        """The result carries everything now."""
        if self.path is not None and self._file is not None:
            os.close(self._file)
            self._file = None
            Path(self.path).unlink(missing_ok=True)

    def _append(self, entry: dict[str, Any]) -> None:
        if self.path is None:
            return
        # A full disk must not fail a handler for its log.
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = _open(self.path)
            self._written += os.write(self._file, _line(entry))
            if self._written > MAX_FILE:
                self._shorten(self.path, self._file)

    def _shorten(self, path: str, old: int) -> None:
        entry = {"log": self.text, "progress": self.progress, "note": self.note}
        partial = f"{path}.part"
        self._file = _open(partial)
        os.close(old)
        self._written = os.write(self._file, _line(entry))
        Path(partial).replace(path)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def path_for(directory: Path, task_id: UUID, fence: int) -> str:
    """The file of one attempt."""
    return f"{directory}/{task_id.hex}-{fence}.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the beat found in a changed file."""

    task_id: UUID
    fence: int
    log: str
    progress: float | None
    note: str


def changed(directory: Path, seen: Seen) -> Iterator[Entry]:
    """Files changed since the last call; `seen` remembers how they were."""
    present = set()
    for path in directory.glob("*.json"):
        present.add(path.name)
        with contextlib.suppress(OSError, ValueError):
            stat = path.stat()
            now = (stat.st_mtime_ns, stat.st_size)
            if seen.get(path.name) == now:
                continue
            task, fence = path.stem.split("-")
            yield _entry(UUID(task), int(fence), path.read_bytes())
            seen[path.name] = now
    for name in set(seen) - present:
        del seen[name]


def _entry(task_id: UUID, fence: int, content: bytes) -> Entry:
    """What the lines add up to; the last one may be half written."""
    log, progress, note = [], None, ""
    for line in content.splitlines():
        with contextlib.suppress(ValueError):
            added = json.loads(line)
            log.append(added.get("log", ""))
            progress = added.get("progress", progress)
            note = added.get("note", note)
    return Entry(task_id, fence, "".join(log)[-MAX_LOG:], progress, note)
