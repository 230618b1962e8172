"""Starting a worker: limits on threads, compiled kernels, the node's row, then Celery."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import signals
from django.conf import settings
from django.db import connections

from ansf_platform.celery import Profile, app
from coordination import handlers
from kernels import warm
from workers.claims import Reconnected
from workers.context import JournalHandler
from workers.heart import Heart
from workers.node import Node, register
from workers.stragglers import watch

logger = logging.getLogger(__name__)

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
CHATTY = ("kombu", "amqp", "httpx", "httpcore")  # at INFO they tell what handlers do not mean
CELERY_POOLS = {"cpu": "prefork", "io": "threads"}


@dataclass(slots=True)
class _Worker:
    """This process's node and heart; children inherit the node."""

    node: Node | None = None
    heart: Heart | None = None


_worker = _Worker()


def this_node() -> Node:
    """The node that this process belongs to. Raises RuntimeError outside a worker."""
    if _worker.node is None:
        raise RuntimeError("this process is no ANSF worker: start one with `manage.py worker`")
    return _worker.node


def settle_environment() -> None:
    """Limit threads and choose the kernels' cache, for libraries that look once, when imported.

    Where they were imported already (Django loads every app first), this process starts anew
    with the same arguments and the same id.
    """
    before = dict(os.environ)
    limit_threads()
    choose_kernel_cache()
    if dict(os.environ) != before and "numpy" in sys.modules:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves


def limit_threads() -> None:
    """One thread of linear algebra per process. Call before numpy is imported."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")


def choose_kernel_cache() -> Path:
    """A writable place for compiled kernels, also when the code's own directory is not."""
    if "NUMBA_CACHE_DIR" not in os.environ:
        wanted = settings.STATE_DIR / "kernels"
        try:
            wanted.mkdir(parents=True, exist_ok=True)
            probe = wanted / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError:
            wanted = Path(tempfile.gettempdir()) / f"ansf-kernels-{os.getuid()}"
        os.environ["NUMBA_CACHE_DIR"] = str(wanted)
    return Path(os.environ["NUMBA_CACHE_DIR"])


def warm_kernels() -> None:
    """Compile or load every kernel now: children inherit the machine code."""
    seconds = warm.warm()
    logger.info("%s kernels ready in %.1f s", len(seconds), sum(seconds.values()))


def run(pool: str, concurrency: int, profile: Profile, log_level: str) -> int:
    """Register the node, beat, and run Celery until it stops; its exit code."""
    names = handlers.bound_names()
    node = register(pool, concurrency, sorted(names), settings.STATE_DIR)
    _worker.node = node
    _worker.heart = heart = Heart(node)
    heart.start()
    app.steps["consumer"].add(Reconnected)
    watch.enabled = True
    # Children must not inherit this thread's connection.
    connections.close_all()
    try:
        app.worker_main(
            [
                "--quiet",
                "worker",
                f"--pool={CELERY_POOLS[pool]}",
                f"--concurrency={concurrency}",
                f"--queues={profile.queue_name(pool)}",
                f"--hostname={node.name}",
                f"--loglevel={log_level}",
                "--without-gossip",
                "--without-mingle",
            ]
        )
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        heart.stop()
        shutil.rmtree(node.directory, ignore_errors=True)
    return 0


def _on_ready(**_: Any) -> None:
    if _worker.heart is not None:
        _worker.heart.ready = True


def _keep_connections(**_: Any) -> None:
    """Spare each task Celery's question whether to close the database: here it never does.

    The question costs as much as all else that happens around a short handler.
    """
    fixups = vars(app)["_fixups"]  # Celery tells nobody of them
    for fixup in fixups:
        asking = getattr(fixup, "worker_fixup", None)
        if asking is not None:
            signals.task_prerun.disconnect(asking.on_task_prerun)
            signals.task_postrun.disconnect(asking.on_task_postrun)


def _set_up_logging(loglevel: int | None = None, **_: Any) -> None:
    """Django's logging stays as it is; handlers' INFO lines reach their attempts' logs.

    Celery would set the root logger to its own level. It asks here after it has set Django up
    once more, which forgets handlers added before, and before it forks children.
    """
    logging.getLogger("celery").setLevel(loglevel or logging.WARNING)
    logging.getLogger("celery.task").setLevel(logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    root = logging.getLogger()
    if not any(isinstance(handler, JournalHandler) for handler in root.handlers):
        root.addHandler(JournalHandler(logging.INFO))


signals.setup_logging.connect(_set_up_logging, weak=False)
signals.worker_init.connect(_keep_connections, weak=False)
signals.worker_ready.connect(_on_ready, weak=False)
