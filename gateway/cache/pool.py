"""The process's cache, on REDIS_URL; a fork makes its own."""

from __future__ import annotations

import os
from functools import cache

import redis
from django.conf import settings

from gateway.cache.connection import Connection
from gateway.cache.response_cache import ResponseCache
from gateway.embedder import MINILM

PATIENT_S = 5.0
"""For people's questions and commands, whom a busy server may keep waiting."""


@cache
def response_cache() -> ResponseCache:
    """One for the process. Without REDIS_URL it only misses."""
    return ResponseCache(Connection(_client()), MINILM)


@cache
def patient_cache() -> ResponseCache:
    """The same cache for commands and pages."""
    return ResponseCache(Connection(_client(), budget_s=PATIENT_S), MINILM)


def forget() -> None:
    """Make them anew at their next use."""
    response_cache.cache_clear()
    patient_cache.cache_clear()


def _client() -> redis.Redis | None:
    return redis.Redis.from_url(settings.REDIS_URL) if settings.REDIS_URL else None


os.register_at_fork(after_in_child=forget)
