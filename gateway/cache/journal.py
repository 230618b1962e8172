"""Keeping a process's vectors in step with Redis.

The journal of a scope is a sorted set of its entries by the sequence in which they came; it holds
exactly the entries that exist, so it is bounded by them and has no gaps to fall into. Each lookup
brings along what is new since the sequence this process knows, so an entry stored by one worker is
found by every other one in its next lookup. A process loads a scope when it is first asked about
it, and anew when the generation has changed, that is when Redis was flushed; scopes that were not
asked about for longest are let go of.

What has been removed is not told: a row without an entry is taken out when Redis does not know it
(every hit is read there), and a block of which a fifth is out of date is loaded anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock, Thread

from gateway.cache.connection import Away, Connection
from gateway.cache.index import Block, Near
from gateway.cache.keys import Partition
from gateway.cache.scripts import FIND
from gateway.embedder import DIMENSION, Vectors

MOST_ROWS = 400_000
"""Vectors in one process, 400 bytes each."""

TOLD_AT_ONCE = 64
"""New entries that come with a lookup."""

HEAD = 6
"""Values of a reply of `find.lua` before what it tells."""

_WIDTH = 3
_PAGE = 500
_PATIENT_ROWS = _PAGE
"""Loaded while the caller waits, in one more trip; a larger scope is loaded beside it."""

_MOST_SCOPES = 10_000
_STALE_FEWEST = 64
_STALE_SHARE = 1.25

Asked = tuple[Partition, str]
"""A scope's key and where it lies."""

Told = Sequence[bytes]
"""Entry, sequence, vector; entry, sequence, vector; …"""


@dataclass(slots=True)
class _Followed:
    block: Block
    generation: bytes
    loading: bool = False


class Journal:
    """The blocks of one process; threads share it."""

    def __init__(self, connection: Connection, *, most_rows: int = MOST_ROWS) -> None:
        self._connection = connection
        self._most_rows = most_rows
        self._lock = Lock()
        self._followed: OrderedDict[Asked, _Followed] = OrderedDict()

    @property
    def rows(self) -> int:
        """Vectors held by this process."""
        with self._lock:
            return sum(len(followed.block) for followed in self._followed.values())

    def known(self, asked: Asked) -> int:
        """The sequence up to which a scope is known; 0 if it is not."""
        with self._lock:
            followed = self._followed.get(asked)
            return followed.block.sequence if followed else 0

    def nearest(self, asked: Asked, vector: Vectors) -> list[Near]:
        """The nearest entries that this process knows of."""
        with self._lock:
            followed = self._followed.get(asked)
            rows = followed.block.snapshot() if followed else None
        return rows.nearest(vector) if rows else []

    def forget(self, asked: Asked, entry: str) -> None:
        """Take out an entry that Redis does not know any more."""
        with self._lock:
            followed = self._followed.get(asked)
            if followed:
                followed.block.remove(entry)

    def follow(self, asked: Asked, generation: bytes, size: int, since: int, told: Told) -> None:
        """Take in what a lookup was told: `size` entries exist, `told` came after `since`."""
        with self._lock:
            followed = self._current(asked, generation, size)
            if followed is None:
                return
            block = followed.block
            connected = since <= block.sequence
            if connected:
                _take(block, told)
            more = not connected or len(told) >= _WIDTH * TOLD_AT_ONCE
            if followed.loading or not more:
                return
            followed.loading = True
        if size <= _PATIENT_ROWS:
            self._load(asked, followed)
        else:
            Thread(
                target=self._load, args=(asked, followed), name="cache-load", daemon=True
            ).start()

    def _current(self, asked: Asked, generation: bytes, size: int) -> _Followed | None:
        """The scope's block; a new one if there is none, or it is of the past."""
        followed = self._followed.get(asked)
        if followed is not None:
            too_many = len(followed.block) > _STALE_SHARE * size + _STALE_FEWEST
            if followed.generation != generation or (too_many and not followed.loading):
                followed = None
        if followed is None:
            self._followed.pop(asked, None)
            if not size:
                return None
            followed = self._followed[asked] = _Followed(Block(DIMENSION), generation)
            self._make_room()
        self._followed.move_to_end(asked)
        return followed

    def _load(self, asked: Asked, followed: _Followed) -> None:
        """Page after page to the end; when Redis is away, the next lookup goes on."""
        partition, scope = asked
        block = followed.block
        try:
            while True:
                reply = self._connection.ask(
                    FIND, partition, scope, "", "", block.sequence, "peek", _PAGE
                )
                told = reply[HEAD:]
                with self._lock:
                    if reply[2] != followed.generation:
                        return
                    _take(block, told)
                if len(told) < _WIDTH * _PAGE:
                    return
        except Away:
            return
        finally:
            with self._lock:
                followed.loading = False
                self._make_room()

    def _make_room(self) -> None:
        rows = sum(len(followed.block) for followed in self._followed.values())
        while len(self._followed) > 1 and (
            rows > self._most_rows or len(self._followed) > _MOST_SCOPES
        ):
            _, oldest = self._followed.popitem(last=False)
            rows -= len(oldest.block)


def _take(block: Block, told: Told) -> None:
    for entry, sequence, vector in zip(*[iter(told)] * _WIDTH, strict=True):
        block.add(entry.decode(), vector)
        block.sequence = max(block.sequence, int(sequence))
