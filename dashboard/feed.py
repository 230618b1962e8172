"""The live feed: an endless answer of tiny server-sent events that say "look again".

Poke and pull: an event carries no data. A page that hears ``changed`` fetches its regions, so what
it shows is always read from rows, with its own tenant's eyes, and a lost event costs nothing.

One reader per process is fanned out to the clients. A client's queue holds one poke at most: two
that were not delivered say no more than one. The generator holds no database connection; it ends
when the client leaves, and when the process is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from dashboard.changes import ChangeReader

Handler = Callable[[int, FrameType | None], Any]

MAX_CLIENTS = 100  # per process; a page that is refused polls
PING_SECONDS = 15.0
GAP_SECONDS = 0.5  # between two pokes of a client: at most 2 in a second
SHARE = 0.1  # of a client's time that pulling may take: a slow page is poked less often
LONGEST_GAP_SECONDS = 5.0

CHANGED = b"event: changed\ndata:\n\n"
PING = b": ping\n\n"
# The first bytes tell the page how soon to come back, and that it may have missed something.
HELLO = b"retry: 1000\n\n" + CHANGED


@dataclass(eq=False, slots=True)
class Client:
    """One open stream. Pokes and the order to end come from any thread."""

    loop: asyncio.AbstractEventLoop
    poked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def poke(self) -> None:
        """Let the stream say that something changed."""
        self._call(self.poked.set)

    def end(self) -> None:
        """Let the stream end."""
        self._call(self.ended.set)
        self.poke()

    def _call(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the stream with it
            self.loop.call_soon_threadsafe(function)

    async def hears(self, seconds: float) -> bool:
        """Wait for a poke; False when none came in that time."""
        heard = await _within(seconds, self.poked)
        self.poked.clear()
        return heard

    async def rest(self, seconds: float) -> None:
        """Say nothing for so long, unless the stream is to end."""
        await _within(seconds, self.ended)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


class Feed:
    """Fans out changes to clients; the reader runs while there is one."""

    def __init__(
        self,
        reader: Callable[[Callable[[], None]], ChangeReader] = ChangeReader,
        *,
        max_clients: int = MAX_CLIENTS,
        ping_s: float = PING_SECONDS,
        gap_s: float = GAP_SECONDS,
    ) -> None:
        self._make_reader = reader
        self._max_clients = max_clients
        self._ping_s = ping_s
        self._gap_s = gap_s
        self._lock = threading.Lock()
        self._clients: set[Client] = set()
        self._reader: ChangeReader | None = None
        self._pull_s = 0.0
        self._hears_signals = False

    @property
    def clients(self) -> int:
        """Open streams."""
        return len(self._clients)

    @property
    def full(self) -> bool:
        """Whether another client would be refused."""
        return len(self._clients) >= self._max_clients

    @property
    def gap_s(self) -> float:
        """Seconds between two pokes of a client."""
        return min(LONGEST_GAP_SECONDS, max(self._gap_s, self._pull_s / SHARE))

    def note_pull(self, seconds: float) -> None:
        """Tell what one pull cost, so that pulling does not eat what it shows."""
        self._pull_s += 0.2 * (seconds - self._pull_s)

    async def stream(self) -> AsyncIterator[bytes]:
        """The events for one client, until it leaves or the process stops; none when full."""
        client = Client(asyncio.get_running_loop())
        if not self._add(client):
            return
        try:
            yield HELLO
            while not client.ended.is_set():
                # Told at once, then held back: in a burst the first change is waited for.
                await client.rest(self.gap_s)
                heard = await client.hears(self._ping_s)
                if not client.ended.is_set():
                    yield CHANGED if heard else PING
        finally:
            self._remove(client)

    def poke(self) -> None:
        """Tell every client that something changed; from any thread."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.poke()

    def end(self) -> None:
        """End every stream: the process stops."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.end()

    def _add(self, client: Client) -> bool:
        self._end_with_process()
        with self._lock:
            if self.full:
                return False
            self._clients.add(client)
            if self._reader is None:
                self._reader = self._make_reader(self.poke)
                self._reader.start()
        return True

    def _remove(self, client: Client) -> None:
        with self._lock:
            self._clients.discard(client)
            if not self._clients and self._reader is not None:
                self._reader.stop()
                self._reader = None

    def _end_with_process(self) -> None:
        # A server that stops waits for its answers to end, and these never would. It tells its
        # application nothing, so its signals are heard here first and then passed on.
        if self._hears_signals or threading.current_thread() is not threading.main_thread():
            return
        self._hears_signals = True
        for number in (signal.SIGTERM, signal.SIGINT):
            previous = signal.getsignal(number)
            if callable(previous):
                signal.signal(number, self._passing_on(previous))

    def _passing_on(self, previous: Handler) -> Handler:
        def hear(number: int, frame: FrameType | None) -> None:
            # In a thread: the signal may have come while this one holds the lock.
            threading.Thread(target=self.end, name="dashboard-feed-end", daemon=True).start()
            previous(number, frame)

        return hear


FEED = Feed()
