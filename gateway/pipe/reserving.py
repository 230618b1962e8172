"""The steps around one attempt: breaker, slots, limits and budgets, taken before and settled after.

Whatever is taken is given back when there is no answer, except the request itself: it was made.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gateway import budgets
from gateway.breaker import Outcome
from gateway.budgets import Payer
from gateway.errors import LimitReached, ProviderFailed, Unavailable
from gateway.models import Provider
from gateway.pipe.exchange import Exchange, Pause
from gateway.router import Option
from ratelimit import policies
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision, Reservation
from ratelimit.quota import Quota
from ratelimit.slots import LIFE_S, Slot
from ratelimit.subject import Subject

PLACE = "gateway"
SLOT_PATIENCE_S = 5.0
"""How long a call waits for a free slot of its provider before another model is tried."""
WAIT_PATIENCE_S = 30.0
"""How long a call waits for limits that say so."""
_SLOT_PAUSE_S = 0.05
_MICRO = 1_000
"""Nano-dollars of a millionth of a dollar, in which limits count cost."""


@dataclass(slots=True)
class Held:
    """What one attempt has taken."""

    tokens: Reservation | None = None
    cost: Reservation | None = None
    requests: Sequence[Bucket] = ()
    called: bool = False
    """The request was made: it stays counted whatever comes of it."""


def subject_of(x: Exchange, model: str) -> Subject:
    """Whom limits count the call for."""
    request = x.request
    return Subject(
        tenant=request.tenant,
        user=request.user,
        token=x.terms.token,
        swarm=request.swarm,
        agent=request.agent,
        definition=request.definition,
        model=model,
        address=x.terms.address,
    )


def buckets_of(x: Exchange, model: str) -> tuple[Bucket, ...]:
    """The limits of every call, and those that the policy names."""
    subject = subject_of(x, model)
    named = policies.buckets_for(x.policy.limits, subject) if x.policy.limits else ()
    return tuple(dict.fromkeys((*policies.applying(PLACE, subject), *named)))


def payer_of(x: Exchange, model: str) -> Payer:
    """Whom the call is charged to."""
    request = x.request
    return Payer(
        tenant_id=x.tenant_id,
        swarm=request.swarm or "",
        agent=request.agent or "",
        definition=request.definition or "",
        model=model,
    )


# --- breaker ------------------------------------------------------------------------------
@contextmanager
def permitted(x: Exchange, provider: Provider) -> Iterator[None]:
    """Ask the breaker, and tell it what became of the block. Raises Unavailable."""
    breakers = x.around.breakers
    permit = breakers.ask(provider.name)
    if not permit.allowed:
        raise Unavailable(
            f"provider {provider.name!r} failed too often and rests",
            retry_after=permit.retry_after_ms / 1000,
        )
    outcome, began = Outcome.DROPPED, time.monotonic()
    try:
        yield
        outcome = breakers.outcome_of(time.monotonic() - began)
    except ProviderFailed as error:
        outcome = Outcome.FAILED if error.counts else Outcome.DROPPED
        raise
    finally:
        breakers.tell(provider.name, permit, outcome)


# --- slots --------------------------------------------------------------------------------
def entered(
    x: Exchange, provider: Provider, buckets: Sequence[Bucket]
) -> Generator[Pause, None, Slot]:
    """A slot of the provider and of every limit of concurrency; leave it with `left`.

    Raises Unavailable when the provider's slots stay taken, LimitReached when a limit's do.
    """
    own = _slots_of(provider)
    concurrent = [bucket for bucket in buckets if bucket.unit == "concurrency"]
    ends = time.monotonic() + min(SLOT_PATIENCE_S, x.seconds_left)
    while True:
        slot = x.around.limiter.slot((own, *concurrent))
        slot.__enter__()
        if slot.allowed:
            return slot
        if time.monotonic() >= ends:
            break
        yield Pause(_SLOT_PAUSE_S)
    violated = slot.decision.violated if slot.decision else ()
    if not set(violated) - {own.name}:
        raise Unavailable(f"all {provider.slots} slots of provider {provider.name!r} are taken")
    raise _reached(violated, 1.0)


def left(slot: Slot) -> None:
    """Give the slot back."""
    slot.__exit__(None, None, None)


def _slots_of(provider: Provider) -> Bucket:
    quota = Quota(provider.slots, int(LIFE_S * 1e6), provider.slots)
    return Bucket("provider-slots", f"provider:{provider.name}", quota, "concurrency")


# --- limits and budgets -------------------------------------------------------------------
def taken(x: Exchange, option: Option, buckets: Sequence[Bucket]) -> Generator[Pause, None, Held]:
    """Requests charged, tokens and cost reserved, the budget held: all or nothing.

    Raises LimitReached and BudgetExhausted.
    """
    ends = time.monotonic() + min(WAIT_PATIENCE_S, x.seconds_left)
    while True:
        denied = _reserve(x, option, buckets)
        if isinstance(denied, Held):
            break
        waits = all(b.on_deny == "wait" for b in buckets if b.name in denied.violated)
        after = denied.retry_after
        if not waits or after is None or time.monotonic() + after > ends:
            raise _reached(denied.violated, after)
        yield Pause(after)
    try:
        budgets.reserve(payer_of(x, option.name), x.terms.request_id, option.worst_cost)
    except BaseException:
        _undo(x, denied)
        raise
    return denied


def _reserve(x: Exchange, option: Option, buckets: Sequence[Bucket]) -> Held | Decision:
    limiter, held = x.around.limiter, Held()
    requests = _of(buckets, "requests")
    if requests:
        decision = limiter.acquire(requests)
        if not decision.allowed:
            return decision
        held.requests = requests
    estimates = {"tokens": option.tokens_in + option.max_output, "cost": _micros(option.worst_cost)}
    for unit, estimate in estimates.items():
        chosen = _of(buckets, unit)
        if not chosen:
            continue
        # A default that is larger than a small bucket would shut everybody out for ever.
        fits = min(bucket.quota.burst for bucket in chosen)
        reservation = limiter.reserve(chosen, min(estimate, fits))
        if not reservation.allowed:
            _undo(x, held)
            return reservation.decision
        setattr(held, unit, reservation)
    return held


def settle(x: Exchange, held: Held, tokens: int, cost: int) -> None:
    """Replace the estimates by what was used."""
    if held.tokens is not None:
        x.around.limiter.settle(held.tokens, tokens)
    if held.cost is not None:
        x.around.limiter.settle(held.cost, _micros(cost))


def give_back(x: Exchange, held: Held) -> None:
    """Nothing was used."""
    _undo(x, held)
    budgets.cancel(x.tenant_id, x.terms.request_id)


def _undo(x: Exchange, held: Held) -> None:
    for reservation in (held.tokens, held.cost):
        if reservation is not None:
            x.around.limiter.cancel(reservation)
    if held.requests and not held.called:
        x.around.limiter.refund(held.requests, 1)


def _of(buckets: Sequence[Bucket], unit: str) -> list[Bucket]:
    return [bucket for bucket in buckets if bucket.unit == unit]


def _micros(nano: int) -> int:
    return -(-nano // _MICRO)


def _reached(violated: Sequence[str], after: float | None) -> LimitReached:
    which = ", ".join(violated) or "a limit"
    told = "this much never passes" if after is None else f"it passes in {after:.1f} s"
    return LimitReached(f"{which} is reached: {told}", violated=violated, retry_after=after)
