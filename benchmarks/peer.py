"""The peer: a plain Celery application as its documentation sets one up, for comparison."""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import worker_ready

app = Celery("peer")
app.conf.update(
    broker_url=os.environ.get("BROKER_URL", "memory://"),
    result_backend=os.environ.get("PEER_RESULTS") or None,
    task_ignore_result=not os.environ.get("PEER_RESULTS"),
    task_acks_late=True,
    worker_prefetch_multiplier=int(os.environ.get("PEER_PREFETCH", "4")),
    task_default_queue="peer",
    task_serializer="json",
    accept_content=["json"],
    worker_hijack_root_logger=False,
)
if os.environ.get("PEER_REUSE"):
    app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000


READY = "the peer is ready"


@worker_ready.connect
def say_ready(**_: Any) -> None:
    """Tell whoever measures that the pool takes work."""
    sys.stderr.write(f"{READY}\n")


@app.task(name="peer.noop")
def noop(**payload: Any) -> None:
    """Nothing."""
