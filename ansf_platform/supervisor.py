"""Keeps a set of commands and private servers running until it is asked to stop.

Starts in order: each *stage* (one child, or several that start together) must be ready before the
next begins. Stops in the opposite order: a stage is asked to end together, waited for within each
one's deadline, then killed. A child that ends by itself is started again after a growing pause.
Nothing outlives the supervisor, not even a SIGKILL of it: see `ansf_platform.services`.

It runs in the thread that made it, the main thread where signals matter; threads only carry log
lines. `run()` does all of it; a caller with work of its own uses `start()`, calls `step()` now and
then, and ends with `stop()`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType, TracebackType
from typing import Self, TextIO

from ansf_platform.services.errors import ServiceError, StartFailed
from ansf_platform.services.log_lines import LogLines
from ansf_platform.services.run_file import AlreadyRunning, RunFile, Running
from ansf_platform.services.server import PrivateServer
from ansf_platform.services.supervised import NEVER, Child, Command, Restart, Server, Unit

__all__ = [
    "NEVER",
    "AlreadyRunning",
    "Child",
    "ChildStatus",
    "Restart",
    "RunFile",
    "Running",
    "StartFailed",
    "State",
    "Supervisor",
]

Supervisable = Child | PrivateServer
Stage = Supervisable | Sequence[Supervisable]

_POLL_S = 0.05
_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # HUP: the terminal was closed
_SIGNAL_NAMES = {known.value: known.name for known in signal.Signals}


class State(StrEnum):
    """Where a child stands."""

    WAITING = "waiting"  # its stage has not begun
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"  # ended by itself, to be started again
    FAILED = "failed"  # ended by itself, left alone
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """A child as it is now; `restarts` counts since the supervisor began."""

    name: str
    state: State
    pid: int | None
    exit_code: int | None
    restarts: int


@dataclass(slots=True)
class _Post:
    """A unit with what the supervisor knows of it."""

    unit: Unit
    state: State = State.WAITING
    restarts: int = 0
    ends_in_a_row: int = 0
    started_at: float = 0.0
    next_start_at: float = 0.0


class Supervisor:
    """Runs the stages; says what it does as lines of `title` among those of the children."""

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        out: TextIO | None = None,
        title: str = "ansf",
        server_restart: Restart | None = None,
    ) -> None:
        flat = [_members(stage) for stage in stages]
        names = [member.name for stage in flat for member in stage]
        if len(set(names)) != len(names):
            raise ValueError(f"two children have the same name: {', '.join(names)}")
        self._title = title
        self._lines = LogLines(out or sys.stderr, [title, *names])
        restart = server_restart or Restart()
        self._stages = [[_Post(self._unit(one, restart)) for one in stage] for stage in flat]
        self._asked: list[signal.Signals] = []

    @property
    def asked_to_stop(self) -> signal.Signals | None:
        """The first signal that asked for the end; None while nobody has."""
        return self._asked[0] if self._asked else None

    def run(self) -> signal.Signals:
        """Start all, keep them running until a signal asks for the end, stop all; that signal.

        Raises what `start` raises, with everything stopped, when a child does not come up.
        """
        with self.listening():
            try:
                self.start()
                while (asked := self.asked_to_stop) is None:
                    self.step()
                    time.sleep(_POLL_S)
            finally:
                self.stop()
        return asked

    def start(self) -> None:
        """Start stage after stage; ends early if a signal asks for it.

        Raises StartFailed, BinaryMissing or PortTaken, with everything stopped.
        """
        try:
            for stage in self._stages:
                if self._asked:
                    return
                for post in stage:
                    post.state = State.STARTING
                    self._spawn(post)
                for post in stage:
                    self._await_ready(post)
        except BaseException:
            self.stop()
            raise

    def step(self) -> None:
        """Look once after every child: say who ended, start again who is due."""
        for post in self._posts():
            if post.state is State.RUNNING and not post.unit.alive:
                self._ended(post)
            elif post.state is State.PAUSING and time.monotonic() >= post.next_start_at:
                post.restarts += 1
                self._start_again(post)

    def stop(self) -> None:
        """Stop the stages in the opposite order; a signal meanwhile ends them all at once."""
        with self.listening():
            signals_before = len(self._asked)
            if any(post.unit.alive for post in self._posts()):
                self.say("stopping; Ctrl-C again ends everything at once")
            for stage in reversed(self._stages):
                self._stop_stage(stage, signals_before)

    def status(self) -> tuple[ChildStatus, ...]:
        """Every child as it is now, in starting order."""
        return tuple(
            ChildStatus(
                post.unit.name, post.state, post.unit.pid, post.unit.exit_code, post.restarts
            )
            for post in self._posts()
        )

    def say(self, text: str) -> None:
        """Write lines of our own among the children's."""
        self._lines.write(self._title, text)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note SIGINT, SIGTERM and SIGHUP in `asked_to_stop` instead of dying of them."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set handlers
            return
        before = {number: signal.signal(number, self._note) for number in _ASKING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._asked.append(signal.Signals(number))  # nothing that could take a lock

    def _unit(self, member: Supervisable, restart: Restart) -> Unit:
        if isinstance(member, Child):
            return Command(member, self._lines)
        return Server(member, restart)

    def _posts(self) -> Iterator[_Post]:
        for stage in self._stages:
            yield from stage

    def _spawn(self, post: _Post) -> None:
        post.started_at = time.monotonic()
        post.unit.spawn()

    def _await_ready(self, post: _Post) -> None:
        unit, deadline = post.unit, post.started_at + post.unit.ready_timeout_s
        while not self._asked:
            if not unit.alive:
                raise StartFailed(
                    f"{unit.name} {_how(unit)} before it was ready{unit.last_words()}"
                )
            if unit.ready():
                post.state = State.RUNNING
                return
            if time.monotonic() >= deadline:
                waited = f"was not ready within {unit.ready_timeout_s:g} s"
                raise StartFailed(f"{unit.name} {waited}{unit.last_words()}")
            time.sleep(_POLL_S)

    def _ended(self, post: _Post) -> None:
        how = _how(post.unit)
        post.unit.finish()  # what it left in its group
        if time.monotonic() - post.started_at >= post.unit.restart.settled_s:
            post.ends_in_a_row = 0
        self._plan_restart(post, how)

    def _plan_restart(self, post: _Post, how: str) -> None:
        post.ends_in_a_row += 1
        delay_s = post.unit.restart.delay_s(post.ends_in_a_row)
        if delay_s is None:
            post.state = State.FAILED
            self.say(f"{post.unit.name} {how}; left alone")
            return
        post.state = State.PAUSING
        post.next_start_at = time.monotonic() + delay_s
        self.say(f"{post.unit.name} {how}; starting it again in {delay_s:.1f} s")

    def _start_again(self, post: _Post) -> None:
        try:
            self._spawn(post)
        except ServiceError as error:
            self._plan_restart(post, f"could not start: {error}")
        else:
            post.state = State.RUNNING

    def _stop_stage(self, stage: Sequence[_Post], signals_before: int) -> None:
        for post in stage:
            post.unit.begin_stop()
        asked_at = time.monotonic()
        for post in stage:
            deadline = asked_at + post.unit.stop_timeout_s
            while post.unit.alive and time.monotonic() < deadline:
                if len(self._asked) > signals_before:
                    break
                time.sleep(_POLL_S)
            if post.unit.alive:
                self.say(f"{post.unit.name} is killed: it did not end when asked")
            post.unit.finish()
            if post.state is not State.WAITING:
                post.state = State.STOPPED


def _members(stage: Stage) -> tuple[Supervisable, ...]:
    return (stage,) if isinstance(stage, Child | PrivateServer) else tuple(stage)


def _how(unit: Unit) -> str:
    code = unit.exit_code
    if code is None:
        return "did not start"
    if code < 0:
        return f"was ended by {_SIGNAL_NAMES.get(-code, f'signal {-code}')}"
    return f"exited with {code}"
