"""What a supervisor runs: a command or a private server, seen through one shape."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ansf_platform.services.errors import StartFailed
from ansf_platform.services.log_lines import LogLines
from ansf_platform.services.process import Launch, Process, spawn, tail
from ansf_platform.services.server import PrivateServer

_LAST_WORDS_S = 2.0


@dataclass(frozen=True, slots=True)
class Restart:
    """How a child that ended by itself is started again: after `first_s`, doubled up to `cap_s`.

    A child that ran for `settled_s` begins again at `first_s`. After `limit` ends in a row it is
    left alone; None means never, 0 means that it is not started again at all.
    """

    first_s: float = 0.5
    cap_s: float = 30.0
    settled_s: float = 60.0
    limit: int | None = None

    def delay_s(self, ends_in_a_row: int) -> float | None:
        """Seconds to wait before the next start, shortened by up to half; None to give up."""
        if self.limit is not None and ends_in_a_row > self.limit:
            return None
        delay = min(self.cap_s, self.first_s * 2.0 ** min(ends_in_a_row - 1, 32))
        return delay * random.uniform(0.5, 1.0)


NEVER = Restart(limit=0)


@dataclass(frozen=True, slots=True)
class Child:
    """A command to keep running; `env` is added to ours, `ready` says when others may start."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    ready_timeout_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    restart: Restart = Restart()
    cwd: Path | None = None


class Unit(Protocol):
    """One thing under supervision."""

    name: str
    restart: Restart
    ready_timeout_s: float
    stop_timeout_s: float

    def spawn(self) -> None:
        """Start without waiting. Raises ServiceError."""

    def ready(self) -> bool:
        """Whether what comes after it may start."""

    def begin_stop(self) -> None:
        """Ask it to end."""

    def finish(self) -> None:
        """End by force what is left of it, and clear up."""

    def last_words(self) -> str:
        """The end of its log, where the log was not shown."""

    @property
    def alive(self) -> bool: ...

    @property
    def pid(self) -> int | None: ...

    @property
    def exit_code(self) -> int | None: ...


class Command:
    """A child command whose output is shown line by line."""

    def __init__(self, child: Child, lines: LogLines) -> None:
        self.child = child
        self.name = child.name
        self.restart = child.restart
        self.ready_timeout_s = child.ready_timeout_s
        self.stop_timeout_s = child.stop_timeout_s
        self._lines = lines
        self._process: Process | None = None
        self._pump: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.alive else None

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.exit_code

    def spawn(self) -> None:
        # Python keeps lines back when it writes to a pipe.
        env = {**os.environ, "PYTHONUNBUFFERED": "1", **self.child.env}
        launch = Launch(tuple(self.child.argv), env, cwd=self.child.cwd)
        try:
            self._process = spawn(launch, subprocess.PIPE)
        except OSError as error:  # a working directory that is gone, no memory to fork
            raise StartFailed(f"{self.name} could not be started: {error}") from error
        if self._process.popen.stdout is not None:
            self._pump = self._lines.pump(self.name, self._process.popen.stdout)

    def ready(self) -> bool:
        return self.child.ready is None or self.child.ready()

    def begin_stop(self) -> None:
        if self._process is not None:
            self._process.begin_stop(self.child.stop_signal)

    def finish(self) -> None:
        if self._process is not None:
            self._process.kill()
        if self._pump is not None:
            self._pump.join(_LAST_WORDS_S)

    def last_words(self) -> str:
        return ""


class Server:
    """A private server; its output goes to its own log."""

    def __init__(self, server: PrivateServer, restart: Restart) -> None:
        self.server = server
        self.name = server.name
        self.restart = restart
        self.ready_timeout_s = server.start_deadline_s
        self.stop_timeout_s = server.stop_deadline_s

    @property
    def alive(self) -> bool:
        return self.server.running

    @property
    def pid(self) -> int | None:
        return self.server.pid if self.server.running else None

    @property
    def exit_code(self) -> int | None:
        return self.server.exit_code

    def spawn(self) -> None:
        self.server.spawn()

    def ready(self) -> bool:
        return self.server.answers()

    def begin_stop(self) -> None:
        self.server.begin_stop()

    def finish(self) -> None:
        if self.server.running:
            self.server.kill()
        self.server.stop()

    def last_words(self) -> str:
        return f"; the end of {self.server.log_path}:\n{tail(self.server.log_path)}"
