"""Threads for what calls do between their waits: few, lasting, each with its connection.

Asyncio waits for the providers, however many calls are under way; rows and Redis are asked here.
Django's own way would be a thread, and a database connection, for each call.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, TypeVar

from django.db import close_old_connections

from ansf_platform import env

THREADS = env.integer("ANSF_GATEWAY_THREADS", 16)
LOOKED_AFTER_S = 5.0
"""How often a thread looks whether its database connection still works."""

T = TypeVar("T")
_own = threading.local()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, THREADS), thread_name_prefix="gateway")


async def in_thread(function: Callable[..., T], *words: Any) -> T:
    """What `function` returns or raises, in one of the threads."""
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    return await loop.run_in_executor(_pool(), partial(context.run, _tended, function, *words))


def _tended(function: Callable[..., T], *words: Any) -> T:
    now = time.monotonic()
    if now >= getattr(_own, "look_at", 0.0):
        close_old_connections()
        _own.look_at = now + LOOKED_AFTER_S
    try:
        return function(*words)
    except Exception:
        _own.look_at = 0.0
        raise


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads stay behind in the parent
