"""The one shape of a private server: start, stop, kill, pause, resume, start again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from ansf_platform.services.errors import NotRunning, PortTaken
from ansf_platform.services.ports import free_port, is_free
from ansf_platform.services.process import Launch, Process, spawn_logged, wait_ready

_PRIVATE = 0o700
_PRIVATE_FILE = 0o600
_PASSED_ON = ("PATH", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class PrivateServer(ABC):
    """A server of our own on 127.0.0.1; without a directory it gets a temporary one.

    Leaving the `with` block stops it, and removes the directory if it was temporary.
    """

    name: ClassVar[str]
    start_deadline_s: ClassVar[float] = 30.0
    stop_deadline_s: ClassVar[float] = 15.0
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: Path | None = None, port: int | None = None) -> None:
        self.temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix=f"ansf-{self.name}-"))
        self.port = port or free_port()
        self._process: Process | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where and as whom to connect, password included."""

    @abstractmethod
    def prepare(self) -> None:
        """Write what the server needs before it starts; called before every start."""

    @abstractmethod
    def launch(self) -> Launch:
        """The command that becomes the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server does work for our credentials now."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that clients are told of."""
        return (self.port,)

    @property
    def log_path(self) -> Path:
        """Where the server's own output goes."""
        return self.directory / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process lives; a paused server lives."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """The server's process id. Raises NotRunning."""
        return self._living().pid

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None while it lives or if it never lived."""
        return None if self._process is None else self._process.exit_code

    def start(self) -> Self:
        """Start and wait until it answers; does nothing if it runs.

        Raises BinaryMissing, PortTaken, or StartFailed with the end of the log.
        """
        if not self.running:
            self.spawn()
            self.wait_ready()
        return self

    def spawn(self) -> None:
        """Start without waiting, so that several servers can boot at once; then `wait_ready`."""
        if self._process is not None:
            self._process.kill()  # it crashed: end what it may have left in its group
        for port in self.ports:
            if not is_free(port):  # or whoever listens there would be taken for our server
                raise PortTaken(self.name, port)
        self.directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self.prepare()
        self._process = spawn_logged(self.launch(), self.log_path)

    def wait_ready(self) -> None:
        """Wait until it answers. Raises StartFailed, with the process killed."""
        wait_ready(self._living(), self.answers, self.start_deadline_s, self.log_path)

    def stop(self) -> None:
        """End it cleanly, after the deadline by force; it may be started again."""
        if self._process is not None:
            self._process.stop(self.stop_signal, self.stop_deadline_s)

    def begin_stop(self) -> None:
        """Ask it to end without waiting, so that several can end at once; then `stop`."""
        if self._process is not None:
            self._process.begin_stop(self.stop_signal)

    def kill(self) -> None:
        """Crash it: SIGKILL to the server and every process of it."""
        self._living().kill()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing is answered."""
        self._living().pause()

    def resume(self) -> None:
        """Thaw it after `pause`."""
        self._living().resume()

    def discard(self) -> None:
        """End it without ceremony and delete its directory with all data."""
        if self.running:
            self.kill()
        self.stop()  # what accompanies the server ends too
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._leave()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        if self.temporary:
            self.discard()
        else:
            self.stop()

    def _living(self) -> Process:
        if self._process is None or not self._process.alive:
            raise NotRunning(f"the private {self.name} server is not running")
        return self._process


def plain_environment() -> dict[str, str]:
    """The few variables a server needs of ours; no other server's settings leak into it."""
    kept = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8"} | kept


def keep_secret(path: Path) -> str:
    """The secret kept in this file (mode 0600), drawn when the file is missing."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can ever have read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
