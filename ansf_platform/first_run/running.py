"""A system from its start to its end, stepped along by whoever runs it."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from ansf_platform.first_run.processes import System
from ansf_platform.first_run.rows import Prepared, prepare, prepare_elsewhere
from ansf_platform.supervisor import ChildStatus, Supervisor

_POLL_S = 0.05


class Interrupted(Exception):
    """A signal asked for the end while the system was starting."""


class RunningSystem:
    """The processes of a system; everything is stopped when the block of `started` ends."""

    def __init__(self, system: System, out: TextIO) -> None:
        self.system = system
        postgres = system.servers.postgres
        # Rows come before everything that reads them, so their server has a supervisor of its own.
        self._below = Supervisor([postgres] if postgres else [], out=out)
        self._above = Supervisor(system.stages(), out=out)

    @contextmanager
    def started(self) -> Iterator[Prepared]:
        """Start all, give what `prepare` did, stop all.

        Raises Interrupted, and what Supervisor.start raises, with everything stopped.
        """
        with self._above.listening():
            try:
                yield self._start()
            finally:
                self._above.stop()
                self._below.stop()

    @property
    def asked_to_stop(self) -> signal.Signals | None:
        """The signal that asked for the end, if one did."""
        return self._above.asked_to_stop

    def say(self, text: str) -> None:
        """Write lines of our own among those of the children."""
        self._above.say(text)

    def step(self) -> None:
        """Look once after every child."""
        self._below.step()
        self._above.step()

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Keep everything running until the condition holds or a signal asks for the end."""
        while self.asked_to_stop is None and not until():
            self.step()
            time.sleep(_POLL_S)

    def status(self) -> tuple[ChildStatus, ...]:
        """Every child as it is now."""
        return (*self._below.status(), *self._above.status())

    def _start(self) -> Prepared:
        # A killed system leaves the directories of its workers; the owner of the state may tidy.
        shutil.rmtree(self.system.wishes.state_dir / "workers", ignore_errors=True)
        if self.system.servers.postgres is None:
            prepared = prepare()
        else:
            self._below.start()
            prepared = prepare_elsewhere(self.system)
        self._above.start()
        if self.asked_to_stop is not None:
            raise Interrupted
        return prepared
