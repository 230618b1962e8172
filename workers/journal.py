"""Log lines and progress of running attempts, written by children, read by the beat.

One file per attempt, appended to by the one who runs it, so that `task logs -f` shows lines
while a handler runs, and lines survive a child that is killed.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

MAX_LOG = 64 * 1024  # characters kept of an attempt
SAVE_SECONDS = 0.25  # a chatty handler must not spend its time rewriting the file


@dataclass(slots=True)
class Journal:
    """The log of one attempt."""

    path: str | None
    """None: only in memory (tests, direct calls)."""
    text: str = ""
    progress: float | None = None
    note: str = ""
    _saved_at: float = float("-inf")

    def write(self, line: str) -> None:
        """Add a line; beyond the bound the oldest text goes."""
        self.text = (self.text + line.rstrip("\n") + "\n")[-MAX_LOG:]
        self._save()

    def report(self, progress: float | None, note: str) -> None:
        """Set how far the handler is (0 to 1) and a short note."""
        self.progress = None if progress is None else min(1.0, max(0.0, progress))
        self.note = note[:200]
        self._save()

    def close(self) -> None:
        """The result carries everything now."""
        if self.path is not None and self._saved_at > float("-inf"):
            Path(self.path).unlink(missing_ok=True)

    def _save(self) -> None:
        now = time.monotonic()
        if self.path is None or now - self._saved_at < SAVE_SECONDS:
            return
        self._saved_at = now
        entry = {"log": self.text, "progress": self.progress, "note": self.note}
        partial = Path(f"{self.path}.part")
        # A full disk must not fail a handler for its log.
        with contextlib.suppress(OSError):
            partial.write_text(json.dumps(entry), encoding="utf-8")
            partial.replace(self.path)


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


def changed(directory: Path, seen: dict[str, int]) -> Iterator[Entry]:
    """Files changed since the last call; `seen` remembers their times."""
    present = set()
    for path in directory.glob("*.json"):
        present.add(path.name)
        with contextlib.suppress(OSError, ValueError):
            changed_at = path.stat().st_mtime_ns
            if seen.get(path.name) == changed_at:
                continue
            entry = json.loads(path.read_text(encoding="utf-8"))
            seen[path.name] = changed_at
            task, fence = path.stem.split("-")
            yield Entry(UUID(task), int(fence), **entry)
    for name in set(seen) - present:
        del seen[name]
