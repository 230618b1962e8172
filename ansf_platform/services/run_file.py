"""Who runs from a state directory: at most one, and anybody can ask where it is reached."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from ansf_platform.services.errors import ServiceError
from ansf_platform.services.probes import wait_until

# A process is told from a later one with its number by when it was created. The kernel counts that
# from boot, so it moves with corrections of the clock, by less than a number takes to be reused.
_SAME_START_S = 2.0
_SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A living owner of the state directory: its process, and what it told (name to URL)."""

    pid: int
    created: float
    told: dict[str, str]

    @property
    def since(self) -> str:
        """When it started, in UTC to the second."""
        return datetime.fromtimestamp(self.created, UTC).isoformat(" ", "seconds")


class AlreadyRunning(ServiceError):
    """Another process owns the state directory; `running` is None if it has told nothing yet."""

    def __init__(self, directory: Path, running: Running | None) -> None:
        self.running = running
        if running is None:
            super().__init__(f"another process is just starting from {directory}")
            return
        told = "".join(f"\n  {name}: {value}" for name, value in running.told.items())
        super().__init__(
            f"already running from {directory} as process {running.pid} since {running.since}."
            f" To stop it: kill {running.pid}{told}",
        )


class RunFile:
    """`NAME.json` beside a lock that the owner holds as long as it lives, however it ends."""

    def __init__(self, directory: Path, name: str = "run") -> None:
        self.directory = directory
        self.path = directory / f"{name}.json"
        self._lock: IO[str] | None = None

    def claim(self, told: Mapping[str, str] | None = None) -> Self:
        """Become the owner. Raises AlreadyRunning."""
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_suffix(".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            wait_until(lambda: self.read() is not None, _SETTLE_S)
            raise AlreadyRunning(self.directory, self.read()) from None
        self._lock = lock
        self.tell(told or {})
        return self

    def tell(self, told: Mapping[str, str]) -> None:
        """Replace what others read of us. Only the owner may."""
        if self._lock is None:
            raise ServiceError(f"{self.path} is not ours to write: claim it first")
        facts = Running(os.getpid(), psutil.Process().create_time(), dict(told))
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(facts), indent=2) + "\n")
        fresh.replace(self.path)  # a reader sees the old or the new, never half

    def read(self) -> Running | None:
        """The living owner; None if there is none or the file is not ours to understand."""
        try:
            facts = Running(**json.loads(self.path.read_text()))
            created = psutil.Process(facts.pid).create_time()
        except (OSError, ValueError, TypeError, psutil.Error):
            return None
        return facts if abs(created - facts.created) < _SAME_START_S else None

    def release(self) -> None:
        """Let the next one claim; does nothing if not the owner."""
        if self._lock is not None:
            self.path.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
