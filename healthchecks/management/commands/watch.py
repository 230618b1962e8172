"""``manage.py watch``: measure the enabled checks, for as long as this process leads."""

from __future__ import annotations

import os
import signal
import socket
import threading
import uuid
from types import FrameType
from typing import Any

from ansf_platform.terminal import Command as TerminalCommand
from ansf_platform.terminal import Exit, Failure
from coordination.leadership import Leadership
from healthchecks.probes.rows import WATCH_LEASE
from healthchecks.runner import AllStuck
from healthchecks.watching import Watch

LAST_RESORT = 8.0  # seconds after a signal: a frozen database must not keep the process alive


class Command(TerminalCommand):
    """Runs until SIGTERM or SIGINT; of several only the holder of the lease measures."""

    help = (
        "Measure the enabled health checks and write readings and flips. Any number of these "
        "may run: one leads, the others wait. SIGTERM and Ctrl-C end it."
    )

    def act(self, options: dict[str, Any]) -> None:
        stop = threading.Event()
        received: list[int] = []

        def end(number: int, _frame: FrameType | None) -> None:
            received.append(number)
            stop.set()
            timer = threading.Timer(LAST_RESORT, os._exit, [int(Exit.FAILED)])
            timer.daemon = True
            timer.start()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        try:
            Watch(Leadership(WATCH_LEASE, holder), stop).run()
        except AllStuck as error:
            raise Failure(error) from error
        if signal.SIGINT in received:
            raise Failure("interrupted", Exit.INTERRUPTED)
