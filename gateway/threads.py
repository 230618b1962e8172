"""Threads for what calls do between their waits: few, lasting, each with its connection.

Asyncio waits for the providers, however many calls are under way; rows and Redis are asked here.
Django's own way would be a thread, and a database connection, for each call.

One more thread does what nobody waits for (`later`): it reads what is in force before it is out of
date, and writes the reasons of the router.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.db import connections as all_connections

from ansf_platform import env

THREADS = env.integer("ANSF_GATEWAY_THREADS", 16)
LOOKED_AFTER_S = 60.0
"""How often a thread looks whether its database connection still works; after an error at once."""
_LET_GO_S = 10.0

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger(__name__)
_own = threading.local()
_rented: contextvars.ContextVar[ThreadPoolExecutor | None] = contextvars.ContextVar(
    "gateway_threads", default=None
)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, THREADS), thread_name_prefix="gateway")


@cache
def _behind() -> ThreadPoolExecutor:
    # At the interpreter's end it is waited for: what was promised is done.
    return ThreadPoolExecutor(1, thread_name_prefix="gateway-later")


async def in_thread(function: Callable[..., T], *words: Any) -> T:
    """What `function` returns or raises, in one of the threads."""
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    pool = _rented.get() or _pool()
    return await loop.run_in_executor(pool, partial(context.run, _tended, function, *words))


def later(function: Callable[[], object], *, after_s: float = 0.0) -> None:
    """Do it soon, while nobody waits; what it raises is logged.

    A database in memory belongs to one thread: there it is done at once.
    """
    if not apart():
        _logged(function)
        return
    _behind().submit(_tended, _logged, function, after_s)


def apart() -> bool:
    """Whether other threads reach the rows: not those of a database in memory."""
    database: Any = connection
    return database.vendor != "sqlite" or not database.is_in_memory_db()


def finish() -> None:
    """Wait until everything that was to be done later is done."""
    if _behind.cache_info().currsize:
        _behind().submit(int).result()


def surviving(function: Callable[P, T], *words: P.args, **named: P.kwargs) -> T:
    """What `function` returns; once more when it failed because its connection had died.

    For what may be done twice. In a transaction it is not: what came before is lost.
    """
    try:
        return function(*words, **named)
    except (InterfaceError, OperationalError):
        if connection.in_atomic_block:
            raise
        close_old_connections()  # after an error this looks whether the connection works
        if connection.connection is not None:
            raise
        return function(*words, **named)


@contextmanager
def rented(count: int) -> Iterator[None]:
    """Threads of its own for a block, at most `count`; their connections end with it."""
    count = max(1, min(THREADS, count))
    pool = ThreadPoolExecutor(count, thread_name_prefix="gateway-batch")
    token = _rented.set(pool)
    try:
        yield
    finally:
        _rented.reset(token)
        close_connections(pool, count)
        pool.shutdown()


def close_connections(pool: ThreadPoolExecutor, count: int) -> None:
    """Close what each of a pool's threads has open."""
    met = threading.Barrier(count)  # so that no thread takes two

    def close() -> None:
        met.wait(_LET_GO_S)
        all_connections.close_all()

    closing: list[Future[None]] = [pool.submit(close) for _ in range(count)]
    for each in closing:
        each.result()


def close() -> None:
    """End all threads and their connections; the next call begins anew."""
    for made, count in ((_behind, 1), (_pool, max(1, THREADS))):
        if made.cache_info().currsize:
            close_connections(made(), count)
            made().shutdown()
            made.cache_clear()


def _tended(function: Callable[..., T], *words: Any) -> T:
    if connection.settings_dict is not all_connections.settings["default"]:
        connection.close()  # another database has taken its place: in tests and benchmarks
        del all_connections["default"]
    now = time.monotonic()
    if now >= getattr(_own, "look_at", 0.0):
        close_old_connections()
        _own.look_at = now + LOOKED_AFTER_S
    try:
        return function(*words)
    except Exception:
        _own.look_at = 0.0
        raise


def _logged(function: Callable[[], object], after_s: float = 0.0) -> None:
    time.sleep(after_s)
    try:
        function()
    except Exception:
        logger.exception("what was to be done later could not be done")


def _alone() -> None:
    """Threads stay behind in the parent."""
    _pool.cache_clear()
    _behind.cache_clear()


os.register_at_fork(after_in_child=_alone)
