"""One child process with its whole family: started to die with us, stopped, killed, frozen.

Start children from a thread that lives as long as they should (the main thread): the kernel sends
PDEATHSIG when the *thread* that started the child ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from ansf_platform.services import orphans
from ansf_platform.services.errors import NotRunning, StartFailed
from ansf_platform.services.probes import wait_until

_LAUNCHER = Path(__file__).with_name("launcher.py")
_KILL_DEADLINE_S = 10.0  # a process in uninterruptible sleep can take this long to go
_FREEZE_DEADLINE_S = 5.0
_LOG_KEPT_BYTES = 10 * 2**20
_LOG_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run: the whole environment, not additions; `user` only when we are root."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path | None = None
    user: str | None = None


@dataclass(slots=True)
class Process:
    """A running or ended child; every signal reaches the child's descendants where it must."""

    launch: Launch
    popen: subprocess.Popen[bytes]
    _frozen: list[psutil.Process] = field(default_factory=list)
    _finished: bool = False

    @property
    def pid(self) -> int:
        """The child's process id, also its process group."""
        return self.popen.pid

    @property
    def alive(self) -> bool:
        """Whether the child itself has not ended."""
        return self.popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while alive; minus the signal number if a signal ended it."""
        return self.popen.poll()

    def stop(self, number: signal.Signals = signal.SIGTERM, deadline_s: float = 10.0) -> int:
        """Ask to end, wait, then kill what is left; returns the exit code."""
        self.begin_stop(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(deadline_s)
        return self.kill()

    def begin_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask to end without waiting; `stop` or `kill` must follow."""
        self.resume()  # a frozen process cannot hear the request
        self.send(number)

    def kill(self) -> int:
        """SIGKILL the child and all its descendants; returns the exit code when they are gone.

        Also called for a child that ended by itself, to end what it left in its group.
        """
        if self._finished:  # the group's number may be a stranger's by now
            return self.popen.wait()
        self.send(signal.SIGSTOP)  # so that it starts no process after the list is drawn up
        family = self._descendants()
        self.send(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for member in family:
            _signal(member, signal.SIGKILL)
        code = self.popen.wait(_KILL_DEADLINE_S)
        wait_until(lambda: all(map(_gone, family)), _KILL_DEADLINE_S)
        self._frozen.clear()
        self._finished = True
        orphans.forget(self.pid)
        return code

    def pause(self) -> None:
        """Freeze the child and all its descendants (SIGSTOP); returns when they stand still."""
        if not self.alive:
            raise NotRunning(f"{self.launch.argv[0]} is not running: nothing to pause")
        # The child first: once it stands still it can start no further descendants.
        self._freeze([psutil.Process(self.pid)])
        self._freeze(self._descendants())

    def resume(self) -> None:
        """Thaw what `pause` froze (SIGCONT), descendants before the child."""
        while self._frozen:
            member = self._frozen.pop()
            _signal(member, signal.SIGCONT)
            if member.pid != self.pid:
                orphans.forget(member.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child alone; nothing happens if it has ended."""
        if self.alive:
            self.popen.send_signal(number)

    def _freeze(self, members: list[psutil.Process]) -> None:
        for member in members:
            _signal(member, signal.SIGSTOP)
            self._frozen.append(member)
            # Backends that lead their own group would stay frozen for ever if we died now.
            orphans.watch(member.pid)
        wait_until(lambda: all(map(_stands_still, members)), _FREEZE_DEADLINE_S)

    def _descendants(self) -> list[psutil.Process]:
        if not self.alive:
            return []
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def spawn(launch: Launch, output: IO[bytes] | int) -> Process:
    """Start the child in its own session, bound to our life; output takes stdout and stderr."""
    command = (
        *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), launch.user or "-"),
        # Found here: another user may not be able to read what a search would import.
        shutil.which(launch.argv[0], path=launch.env.get("PATH")) or launch.argv[0],
        *launch.argv[1:],
    )
    popen = subprocess.Popen(
        command,
        env=dict(launch.env),
        cwd=launch.cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    orphans.watch(popen.pid)
    return Process(launch, popen)


def spawn_logged(launch: Launch, log: Path) -> Process:
    """Start the child with its output appended to a log file, set aside when above 10 MB."""
    if log.exists() and log.stat().st_size > _LOG_KEPT_BYTES:
        log.replace(log.with_suffix(log.suffix + ".1"))
    with log.open("ab") as output:
        return spawn(launch, output)


def run_to_end(launch: Launch, deadline_s: float) -> tuple[int, str]:
    """Run a command to its end; returns exit code and output. Raises TimeoutExpired when late."""
    process = spawn(launch, subprocess.PIPE)
    with process.popen as popen:  # closes the pipe
        try:
            output, _ = popen.communicate(timeout=deadline_s)
        finally:
            process.kill()
    return popen.returncode, output.decode(errors="replace")


def wait_ready(process: Process, ready: Callable[[], bool], deadline_s: float, log: Path) -> None:
    """Return when the probe holds; else kill the child and raise StartFailed with its log's end."""
    settled = wait_until(lambda: not process.alive or ready(), deadline_s)
    if settled and process.alive:
        return
    code = process.exit_code
    process.kill()
    happened = f"did not answer within {deadline_s:g} s" if code is None else f"exited with {code}"
    raise StartFailed(f"{process.launch.argv[0]} {happened}; the end of {log}:\n{tail(log)}")


def tail(log: Path, lines: int = _LOG_TAIL_LINES) -> str:
    """The last lines of a log, empty if there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - lines * 400))
        return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])


def _signal(member: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        member.send_signal(number)


def _gone(member: psutil.Process) -> bool:
    try:
        # A zombie has ended; in a container whose first process does not reap, it stays listed.
        return not member.is_running() or member.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _stands_still(member: psutil.Process) -> bool:
    try:
        return _gone(member) or member.status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return True
