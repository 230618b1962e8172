"""Handlers for measuring: nothing, waiting, failing, dying. Loaded by ``ANSF_HANDLERS``."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from celery import shared_task

from workers.context import current


@shared_task(name="bench.noop")
def noop(**payload: Any) -> None:
    """Nothing."""


@shared_task(name="bench.sleep")
def sleep(seconds: float, **payload: Any) -> dict[str, float]:
    """Wait, looking at the cancel flag."""
    ctx = current()
    ctx.log(f"sleeping {seconds} s")
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        ctx.check_cancelled()
        time.sleep(min(0.05, seconds))
    return {"slept": seconds}


@shared_task(name="bench.fail")
def fail(**payload: Any) -> None:
    """Raise, always."""
    raise RuntimeError("asked to fail")


@shared_task(name="bench.die")
def die(**payload: Any) -> None:
    """Kill the process that runs it."""
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(name="bench.spin")
def spin(seconds: float, **payload: Any) -> None:
    """Burn one core."""
    give_up = time.process_time() + seconds
    while time.process_time() < give_up:
        pass
