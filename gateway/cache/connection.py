"""Asking Redis with a bounded wait; who is told that it is away, and when it is asked again.

A caller waits at most the budget, three callers in a row; then nobody waits, except one caller
about once a second, who finds out whether it is back.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from redis.exceptions import RedisError

from gateway.cache.keys import Partition
from ratelimit.scripts import Command, Script, Word
from ratelimit.wire import Client, Unreachable, connect

logger = logging.getLogger(__name__)

BUDGET_S = 0.05
"""An answer may be a megabyte, and a miss costs a model's call: longer than a limiter waits."""
OPENED_BY = 3
ASK_AGAIN_S = 1.0
_JITTER = 0.25


class Away(ConnectionError):
    """Redis did not answer, or is not asked at the moment."""


class Connection:
    """One process's way to Redis; threads share it, forks too. Without a client: always away."""

    def __init__(
        self,
        client: Client | None,
        *,
        budget_s: float = BUDGET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = connect(client, budget_s, budget_s)
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._ask_at = 0.0

    @property
    def open(self) -> bool:
        """Whether nobody is to ask at the moment."""
        return self._failures >= OPENED_BY and self._clock() < self._ask_at

    def ask(self, script: Script, partition: Partition, *words: Word | float) -> Any:
        """The reply of one script. Raises Away."""
        return self.ask_many([command(script, partition, *words)])[0]

    def ask_many(self, commands: Sequence[Command]) -> list[Any]:
        """One reply for each command, in one round trip for every 200. Raises Away."""
        self._admit()
        try:
            replies = self._wire.run(commands)
        except (RedisError, OSError) as error:
            self._failed(error)
            raise Away(f"Redis does not answer: {error}") from error
        if self._failures:
            self._answered()
        return replies

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def _admit(self) -> None:
        if self._failures < OPENED_BY:
            return
        with self._lock:
            now = self._clock()
            if now < self._ask_at:
                raise Away("Redis did not answer lately")
            self._ask_at = self._next(now)  # the others do not wait for this one

    def _failed(self, error: BaseException) -> None:
        with self._lock:
            before = self._failures
            self._failures = OPENED_BY if isinstance(error, Unreachable) else before + 1
            self._ask_at = self._next(self._clock())
        if before < OPENED_BY <= self._failures:
            logger.warning("the cache only misses until Redis answers again: %s", error)

    def _answered(self) -> None:
        with self._lock:
            was_open, self._failures = self._failures >= OPENED_BY, 0
        if was_open:
            logger.warning("Redis answers again: the cache is in use")

    @staticmethod
    def _next(now: float) -> float:
        return now + ASK_AGAIN_S * random.uniform(1 - _JITTER, 1 + _JITTER)


def command(script: Script, partition: Partition, *words: Word | float) -> Command:
    """A script's call about one partition."""
    return Command(script, (partition.root,), tuple(map(_word, words)))


def _word(word: Word | float) -> Word:
    return word if isinstance(word, str | bytes) else str(word)
