"""Filling the cache before anybody asks: from lines of questions and answers, or from misses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import batched

from gateway.cache import entries
from gateway.cache.keys import Partition
from gateway.cache.lookup import Ticket
from gateway.cache.misses import Missed, restored
from gateway.cache.policy import CachePolicy
from gateway.cache.response_cache import ResponseCache
from gateway.cache.scripts import FIND
from gateway.request import Answer, Request
from ratelimit.scripts import plain

STORED_AT_ONCE = 128
