"""What the workers of the conformance systems run; loaded there through ANSF_HANDLERS."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from celery import shared_task
from celery.utils.log import get_task_logger

from workers.context import current

HOLD_SECONDS = 30.0  # then whoever was to release the task has failed
logger = logging.getLogger(__name__)
task_logger = get_task_logger(__name__)


@shared_task(name="conformance.add")
def add(numbers):
    return sum(numbers)


@shared_task(name="conformance.fails_twice")
def fails_twice():
    ctx = current()
    ctx.log(f"attempt {ctx.attempt}")
    if ctx.attempt < 3:
        raise RuntimeError(f"not yet: {ctx.attempt}")
    return ctx.attempt


@shared_task(name="conformance.retries", bind=True, max_retries=3)
def retries(self):
    if self.request.retries < 2:
        raise self.retry(exc=OSError("busy"), countdown=0)
    return self.request.retries


@shared_task(name="conformance.hold")
def hold(until):
    """Log, report, and wait for a file to appear, looking at the cancel flag."""
    ctx = current()
    ctx.log("through the context")
    logger.info("through logging")
    task_logger.info("through a task logger")
    ctx.progress(0.5, "half way")
    give_up = time.monotonic() + HOLD_SECONDS
    while not Path(until).exists():
        ctx.check_cancelled()
        if time.monotonic() > give_up:
            raise TimeoutError("nobody released this task")
        time.sleep(0.02)
    return "released"
