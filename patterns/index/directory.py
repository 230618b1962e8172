"""Where a namespace's segments lie: a manifest names those in force, a lock lets one write.

The manifest is replaced as a whole after the segments it names are on the disk. What it does not
name is rubbish of an interrupted write and is swept by the next writer. The sum of all
directories is bounded: the least recently used ones go first.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from patterns.index.segments import Damaged, Segment
from patterns.models import Namespace

logger = logging.getLogger(__name__)

FORMAT = 1
MANIFEST = "manifest.json"
LOCK = "lock"
FREE_SHARE = 1.2
"""A directory is made only where its size and a fifth more would still fit."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the segments of a namespace are, and up to which change they know its rows."""

    generation: int
    through: int
    segments: tuple[Segment, ...]


class Directory:
    """The files of one namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.path = root() / namespace.uid.hex

    def read(self) -> Manifest | None:
        """The segments in force, if there are any of this generation and undamaged."""
        try:
            told = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
            if told["format"] != FORMAT or told["generation"] != self._namespace.generation:
                return None
            segments = tuple(Segment(self.path / one["name"], one) for one in told["segments"])
            manifest = Manifest(told["generation"], told["through"], segments)
            with suppress(OSError):
                os.utime(self.path / MANIFEST)  # the time of last use, for `make_room`
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, Damaged) as error:
            # A segment may also have been replaced between the two looks: then the rows serve.
            logger.warning("index of %s is made anew: %s", self._namespace, error)
            return None
        return manifest

    def write(self, through: int, segments: Sequence[Segment]) -> None:
        """Put these segments in force; the writer holds the lock."""
        told: dict[str, Any] = {
            "format": FORMAT, "generation": self._namespace.generation, "through": through,
            "segments": [segment.told for segment in segments],
        }  # fmt: skip
        fresh = self.path / f"{MANIFEST}.new"
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path / MANIFEST)
        _flush(self.path)
        named = {segment.path.name for segment in segments} | {MANIFEST, LOCK}
        for other in self.path.iterdir():
            if other.name not in named:
                shutil.rmtree(other, ignore_errors=True)

    @contextmanager
    def locked(self, wait_s: float) -> Iterator[bool]:
        """Hold the writers' lock, or yield False when another process has it for that long.

        Raises OSError where nothing can be written.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.path / LOCK).open("w") as file:
            yield _lock(file.fileno(), wait_s)

    def make_room(self, size: int) -> bool:
        """Whether so many bytes may be written, after others' least recently used went.

        What somebody writes at the moment stays. Raises OSError.
        """
        limit = settings.ANSF["PATTERN_CACHE_MB"] << 20
        others = [(path, _size(path)) for path in root().iterdir() if path != self.path]
        excess = size * FREE_SHARE + sum(size for _, size in others) - limit
        for path, taken in sorted(others, key=lambda one: _used(one[0])):
            if excess <= 0:
                break
            if taken and _emptied(path):
                excess -= taken
        free = shutil.disk_usage(root()).free
        fits = excess <= 0 and size * FREE_SHARE < free
        if not fits:
            logger.warning(
                "the index of %s stays in memory: %d MB do not fit below ANSF_PATTERN_CACHE_MB",
                self._namespace, size >> 20,
            )  # fmt: skip
        return fits

    def remove(self) -> None:
        """Forget everything; who reads goes on with what is open."""
        shutil.rmtree(self.path, ignore_errors=True)

    def size(self) -> int:
        """Bytes on the disk."""
        return _size(self.path)


def root() -> Path:
    """The directory of all namespaces."""
    return Path(settings.STATE_DIR) / "patterns"


def _lock(descriptor: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _emptied(path: Path) -> bool:
    """Remove all but the lock file, which others may be waiting at; False when somebody writes."""
    with suppress(OSError), (path / LOCK).open("w") as file:
        if not _lock(file.fileno(), 0.0):
            return False
        (path / MANIFEST).unlink(missing_ok=True)
        for other in path.iterdir():
            if other.name != LOCK:
                shutil.rmtree(other, ignore_errors=True)
        return True
    return False


def _size(path: Path) -> int:
    """Bytes below a directory, as far as they are still there."""
    total = 0
    for home, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += (Path(home) / name).stat().st_size
    return total


def _used(path: Path) -> float:
    with suppress(OSError):
        return (path / MANIFEST).stat().st_mtime
    return 0.0


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
