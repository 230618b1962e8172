"""The steps that look for an answer that is there: levels of the cache, and calls under way."""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from dataclasses import replace

from gateway.cache.coalescing import Flight, Waited
from gateway.cache.lookup import Lookup, Ticket
from gateway.cache.policy import CachePolicy
from gateway.caching import cache_policy, narrowed
from gateway.pipe.exchange import Exchange, Pause
from gateway.request import Answer

_FIRST_LOOK_S, _LAST_LOOK_S = 0.005, 0.1

Waiting = Generator[Pause, None, Answer | None]


def scope(x: Exchange) -> None:
    """Narrow who may see the answer to what the policy allows at most."""
    x.request = narrowed(x.request, x.policy)


def look(x: Exchange) -> Answer | None:
    """L1 to L3: an answer that was given before, to these or other words."""
    x.lookup = x.around.cache.find(x.request, allowed(x))
    return x.lookup.answer


def allowed(x: Exchange) -> CachePolicy:
    """What the policy lets the cache do with this request."""
    return cache_policy(x.tenant_id, x.policy, x.request, x.seconds_left)


def join(x: Exchange) -> Waiting:
    """The answer of an identical call under way; None: this exchange makes the call."""
    ticket, policy = x.lookup.ticket, allowed(x)
    if ticket is None or policy.shadow or not policy.coalesce:
        return None
    ends = time.monotonic() + policy.wait_s
    flights = x.around.cache.flights
    while time.monotonic() < ends:
        flight = flights.join(ticket.place.partition, ticket.place.exact)
        if flight is None:
            return None
        if not flight.leads and (yield from _landing(x, flight, ends)) is not Waited.ENDED:
            return None
        # Whoever leads may have missed just before another one's answer was stored.
        answer = x.around.cache.awaited(ticket)
        if answer is not None:
            if flight.leads:
                flights.end(flight)
            return answer
        if flight.leads:
            x.lookup = replace(x.lookup, ticket=replace(ticket, flight=flight))
            return None
    return None


def _landing(x: Exchange, flight: Flight, ends: float) -> Generator[Pause, None, Waited]:
    pause = _FIRST_LOOK_S
    while (left := ends - time.monotonic()) > 0:
        yield Pause(min(left, pause * random.uniform(0.5, 1)))
        pause = min(_LAST_LOOK_S, 1.5 * pause)
        found = x.around.cache.flights.look(flight)
        if found is not None:
            return found
    return Waited.TOO_LONG


def keep(x: Exchange, answer: Answer) -> Answer:
    """Store an answer that may be given again; it then names its entry."""
    ticket = x.lookup.ticket
    if ticket is None:
        return answer
    stored = x.around.cache.keep(ticket, answer, allowed(x))
    return replace(answer, entry=stored.entry)


def release(x: Exchange) -> None:
    """Tell those that wait that there will be no answer."""
    ticket: Ticket | None = x.lookup.ticket
    if ticket is not None:
        x.around.cache.release(ticket)
    x.lookup = Lookup()
