"""Handlers for measuring: nothing, waiting, failing, dying. Loaded by ``ANSF_HANDLERS``.

``bench.effect`` and ``bench.result`` are for fault tests. Each start of them is a line in a file
(`executions`), so that a repeated execution is seen even if it left no row. What they do in
between is told by their payload: wait, wait until a file exists (`gate`), ignore the soft time
limit while waiting there (`stubborn`), kill their own process (`die`, or `die_once` unless that
file exists).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import shared_task
from django.conf import settings
from django.db import connection

from workers.context import Context, current

GATE_POLL_SECONDS = 0.02
EFFECTS_TABLE = """
CREATE TABLE IF NOT EXISTS bench_effect (task_id varchar(32) NOT NULL, fence bigint NOT NULL)
"""  # without a unique key: a second effect must be seen, not refused


@shared_task(name="bench.noop")
def noop(**_: Any) -> None:
    """Nothing."""


@shared_task(name="bench.sleep")
def sleep(seconds: float, **_: Any) -> dict[str, float]:
    """Wait, looking at the cancel flag."""
    ctx = current()
    ctx.log(f"sleeping {seconds} s")
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        ctx.check_cancelled()
        time.sleep(min(0.05, seconds))
    return {"slept": seconds}


@shared_task(name="bench.fail")
def fail(**_: Any) -> None:
    """Raise, always."""
    raise RuntimeError("asked to fail")


@shared_task(name="bench.die")
def die(**_: Any) -> None:
    """Kill the process that runs it."""
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(name="bench.spin")
def spin(seconds: float, **_: Any) -> None:
    """Burn one core."""
    give_up = time.process_time() + seconds
    while time.process_time() < give_up:
        pass


@shared_task(name="bench.effect")
def effect(**payload: Any) -> None:
    """Do what the payload says, then write a row together with the task's own end."""
    ctx = current()
    _note_start(ctx)
    _obey(payload)
    with ctx.commit() as end:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO bench_effect (task_id, fence) VALUES (%s, %s)",
                [ctx.task_id.hex, ctx.fence],
            )
        end.result = {"fence": ctx.fence}


@shared_task(name="bench.result")
def result(**payload: Any) -> dict[str, int]:
    """Do what the payload says; the result is the only effect."""
    ctx = current()
    _note_start(ctx)
    _obey(payload)
    return {"fence": ctx.fence}


def _obey(payload: dict[str, Any]) -> None:
    if payload.get("die") or _is_first(payload.get("die_once")):
        os.kill(os.getpid(), signal.SIGKILL)
    if seconds := payload.get("seconds"):
        time.sleep(seconds)
    if gate := payload.get("gate"):
        _wait_for(Path(gate), stubborn=bool(payload.get("stubborn")))


def _is_first(mark: str | None) -> bool:
    if mark is None or Path(mark).exists():
        return False
    Path(mark).touch()
    return True


def _wait_for(gate: Path, *, stubborn: bool) -> None:
    while not gate.exists():
        try:
            time.sleep(GATE_POLL_SECONDS)
        except SoftTimeLimitExceeded:
            if not stubborn:
                raise


@dataclass(frozen=True, slots=True)
class Execution:
    """A start of a task that one of the two handlers noted."""

    task_id: str
    """32 hexadecimal digits."""
    fence: int
    pid: int
    at: float
    """Unix time."""


def executions(directory: Path) -> Iterator[Execution]:
    """What was started on this machine by the system with that state directory, in order."""
    path = _executions_path(directory)
    if path.exists():
        for line in path.read_text(encoding="ascii").splitlines():
            task_id, fence, pid, at = line.split()
            yield Execution(task_id, int(fence), int(pid), float(at))


def _note_start(ctx: Context) -> None:
    line = f"{ctx.task_id.hex} {ctx.fence} {os.getpid()} {time.time():.3f}\n"
    # One write of a short line to a file opened for appending is not torn by other processes.
    with _executions_path(settings.STATE_DIR).open("a", encoding="ascii") as file:
        file.write(line)


def _executions_path(directory: Path) -> Path:
    return directory / "executions.log"
