"""What the pipe does around one call: it looks, waits for an identical call, keeps or releases."""

from __future__ import annotations

import time
from dataclasses import replace

from gateway.models import GatewayPolicy
from gateway.pipe import looking
from gateway.pipe.exchange import Exchange, Terms
from gateway.pipe.surroundings import Surroundings


def exchange(cache, request, policy):
    """A call that has looked and found nothing, or has its answer in `lookup`."""
    # A named model that tenants do not share: so no row is read for it.
    x = Exchange(
        replace(request, model=request.model or "m", visibility="tenant"),
        Terms(seconds=policy.wait_s),
        GatewayPolicy(shadow=policy.shadow),
        Surroundings(cache, None, None),
    )
    x.lookup = cache.find(request, policy)
    return x


def joined(x):
    """The answer of an identical call; None: this one leads, or nobody waits."""
    steps = looking.join(x)
    while True:
        try:
            pause = next(steps)
        except StopIteration as done:
            return done.value
        time.sleep(pause.seconds)


def through(cache, request, policy, model):
    """A stored answer, an identical call's, or the model's."""
    x = exchange(cache, request, policy)
    answer = x.lookup.answer or (joined(x) if policy.coalesce else None)
    if answer is not None:
        return answer
    try:
        made = model(request)
    except BaseException:
        looking.release(x)
        raise
    if x.lookup.ticket is None:
        return made
    return replace(made, entry=cache.keep(x.lookup.ticket, made, policy).entry)
