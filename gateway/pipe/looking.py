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
from gateway.errors import GatewayError
from gateway.pipe.exchange import Exchange, Pause
from gateway.request import Answer

_FIRST_LOOK_S, _LAST_LOOK_S = 0.005, 0.1
MOST_FAILURES = 3
"""Of identical calls that one call waits for."""

Waiting = Generator[Pause, None, Answer | None]


def scope(x: Exchange) -> None:
    """Narrow who may see the answer to what the policy allows at most."""
    x.request = narrowed(x.request, x.policy)


def look(x: Exchange) -> Answer | None:
    """L1 to L3: an answer that was given before, to these or other words."""
    x.lookup = x.around.cache.find(x.request, allowed(x), note=False)
    return x.lookup.answer


def allowed(x: Exchange) -> CachePolicy:
    """What the policy lets the cache do with this request."""
    if x.cached_as is None:
        x.cached_as = cache_policy(x.tenant_id, x.policy, x.request, x.seconds_left)
    return x.cached_as


def join(x: Exchange) -> Waiting:
    """The answer of an identical call under way; None: this exchange makes the call.

    When the one that leads fails or goes away, one of those that wait leads. Who has seen
    `MOST_FAILURES` calls fail makes its own.
    """
    ticket, policy = x.lookup.ticket, allowed(x)
    if ticket is None:
        return None
    notes = () if x.lookup.note is None else (x.lookup.note,)
    if policy.shadow or not policy.coalesce:
        x.around.cache.tell(*notes)
        return None
    ends, failures = time.monotonic() + policy.wait_s, 0
    while failures < MOST_FAILURES and time.monotonic() < ends:
        joined, notes = x.around.cache.join(ticket, *notes), ()
        if not isinstance(joined, Flight):
            return joined
        if joined.leads:
            x.lookup = replace(x.lookup, ticket=replace(ticket, flight=joined))
            return None
        became = yield from _landing(x, joined, ends)
        if became in {Waited.APART, Waited.TOO_LONG}:
            return None
        failures += became is Waited.FAILED
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


def release(x: Exchange, error: BaseException | None = None) -> None:
    """Tell those that wait that this call brings no answer; one of them makes it."""
    ticket: Ticket | None = x.lookup.ticket
    if ticket is not None and ticket.flight is not None:
        flights = x.around.cache.flights
        over = flights.fail if isinstance(error, GatewayError) else flights.end
        over(ticket.flight)
    x.lookup = Lookup()
