"""The steps around one attempt: breaker, slots, limits and budgets, taken before and settled after.

Whatever is taken is given back when there is no answer, except the request itself: it was made.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway import budgets
from gateway.breaker import Outcome, Permit
from gateway.budgets import Payer
from gateway.errors import LimitReached, ProviderFailed, Unavailable
from gateway.models import Provider
from gateway.pipe.choosing import row_of
from gateway.pipe.exchange import Exchange, Pause
from gateway.router import Option
from ratelimit import policies
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision, Reservation, charged_of
from ratelimit.limiter import RESERVATION_S
from ratelimit.plans import Ask, Plan, together
from ratelimit.quota import Quota
from ratelimit.slots import LIFE_S, Slot
from ratelimit.subject import Subject

T = TypeVar("T")
PLACE = "gateway"
SLOT_PATIENCE_S = 5.0
"""How long a call waits for a free slot of its provider before another model is tried."""
WAIT_PATIENCE_S = 30.0
"""How long a call waits for limits that say so."""
_MICRO = 1_000
"""Nano-dollars of a millionth of a dollar, in which limits count cost."""


Waiting = Generator[Pause, None, T]


@dataclass(slots=True)
class Held:
    """What one attempt has taken."""

    provider: Provider
    requests: Sequence[Bucket] = ()
    tokens: Reservation | None = None
    cost: Reservation | None = None
    slot: Slot | None = None
    permit: Permit | None = None
    budget: bool = False
    """Whether a part of a budget is held."""
    called: bool = False
    """The request was made: it stays counted whatever comes of it."""
    since: float = field(default_factory=time.monotonic)


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


# --- before an attempt --------------------------------------------------------------------
def taken(x: Exchange, option: Option, provider: Provider) -> Waiting[Held]:
    """Requests charged, tokens and cost reserved, a slot entered, a budget held: all or nothing.

    Raises LimitReached, Unavailable and BudgetExhausted.
    """
    buckets, held = buckets_of(x, option.name), Held(provider)
    yield from _limited(x, option, buckets, held)
    try:
        yield from _entered(x, held, _of(buckets, "concurrency"))
        payer = payer_of(x, option.name)
        held.budget = budgets.reserve(payer, x.terms.request_id, option.worst_cost)
    except BaseException:
        give_back(x, held, Outcome.DROPPED)
        raise
    held.since = time.monotonic()
    return held


def _limited(x: Exchange, option: Option, buckets: Sequence[Bucket], held: Held) -> Waiting[None]:
    """The limits, in one round trip; those that say so are waited for."""
    ends = time.monotonic() + min(WAIT_PATIENCE_S, x.seconds_left)
    while True:
        denied = yield from _charged(x, option, buckets, held)
        if not denied:
            return
        violated = tuple(name for decision in denied for name in decision.violated)
        after = _longest(denied)
        waits = all(bucket.on_deny == "wait" for bucket in buckets if bucket.name in violated)
        if not waits or after is None or time.monotonic() + after > ends:
            raise _reached(violated, after)
        yield Pause(after)


def _charged(
    x: Exchange, option: Option, buckets: Sequence[Bucket], held: Held
) -> Waiting[list[Decision]]:
    """The decisions that deny; then nothing is charged."""
    plans = x.around.limiter.plans
    requests = _of(buckets, "requests")
    charging = [plans.acquire(requests, 1)] if requests else []
    reserved = [unit for unit in ("tokens", "cost") if _of(buckets, unit)]
    reserving = [_reserved(x, option, unit, _of(buckets, unit)) for unit in reserved]
    if not charging and not reserving:
        return []
    told = yield from _driven(x, together([*charging, *reserving]))
    decisions = [each.decision if isinstance(each, Reservation) else each for each in told]
    for name, result in zip([*(["requests"] if charging else []), *reserved], told, strict=True):
        decision = result.decision if isinstance(result, Reservation) else result
        if decision.allowed:
            taken = charged_of(requests, decision) if name == "requests" else result
            setattr(held, name, taken)
    denied = [decision for decision in decisions if not decision.allowed]
    if denied:
        give_back(x, held, Outcome.DROPPED)
    return denied


def _reserved(x: Exchange, option: Option, unit: str, buckets: list[Bucket]) -> Plan[Reservation]:
    least, most = _needed(x, option, unit)
    # Where nothing was said of the answer's length, the default is cut to what a small bucket
    # holds: it would shut everybody out for ever. What was asked for is never cut.
    fits = min(bucket.quota.burst for bucket in buckets)
    return x.around.limiter.plans.reserve(buckets, max(least, min(most, fits)), RESERVATION_S)


def _needed(x: Exchange, option: Option, unit: str) -> tuple[int, int]:
    """Units that the prompt and the answer as it was asked for take, and those they may take."""
    asked = min(x.request.max_tokens or 0, option.max_output)
    if unit == "tokens":
        return x.tokens_in + asked, x.tokens_in + option.max_output
    prices = row_of(x, option).prices
    return _micros(prices.cost(x.tokens_in, asked)), _micros(option.worst_cost)


def _entered(x: Exchange, held: Held, concurrent: Sequence[Bucket]) -> Waiting[None]:
    """A slot of the provider and of every limit of concurrency, and the breaker's permission.

    Raises Unavailable when the provider's slots stay taken or it rests, LimitReached when a
    limit's slots are taken: at once, unless it says that it is waited for.
    """
    own = _slots_of(held.provider)
    at_once = {bucket.name for bucket in concurrent if bucket.on_deny != "wait"}
    patience = min(SLOT_PATIENCE_S, x.seconds_left)
    slot = held.slot = x.around.limiter.slot((own, *concurrent), wait=patience)
    entering = slot.entering(lambda denial: not at_once & set(denial.violated))
    decision, _ = yield from _driven(x, together([entering, _permitted(x, held)]))
    if decision.allowed:
        return
    violated = tuple(name for name in decision.violated if name != own.name)
    if violated:
        raise _reached(violated, 1.0)
    name, slots = held.provider.name, held.provider.slots
    raise Unavailable(f"all {slots} slots of provider {name!r} are taken")


def _permitted(x: Exchange, held: Held) -> Plan[None]:
    permit = yield from x.around.breakers.asking(held.provider.name)
    if not permit.allowed:
        raise Unavailable(
            f"provider {held.provider.name!r} failed too often and rests",
            retry_after=permit.retry_after_ms / 1000,
        )
    held.permit = permit


def _slots_of(provider: Provider) -> Bucket:
    quota = Quota(provider.slots, int(LIFE_S * 1e6), provider.slots)
    return Bucket("provider-slots", f"provider:{provider.name}", quota, "concurrency")


# --- after it -----------------------------------------------------------------------------
def went(x: Exchange, held: Held, error: BaseException | None = None) -> Outcome:
    """What the attempt says about its provider's health.

    Of a stream the time to its first piece counts: how long the whole takes is its reader's
    doing as well.
    """
    if isinstance(error, ProviderFailed):
        return Outcome.FAILED if error.counts else Outcome.DROPPED
    waited = x.first_piece_s
    if error is not None and waited is None:
        return Outcome.DROPPED
    took = time.monotonic() - held.since if waited is None else waited
    return x.around.breakers.outcome_of(took, held.provider.timeout_seconds)


def settle(x: Exchange, held: Held, outcome: Outcome, tokens: int, cost: int) -> None:
    """Replace the estimates by what was used, leave the slot and tell the breaker, all at once."""
    plans = x.around.limiter.plans
    settling = [
        plans.settle(reservation, used)
        for reservation, used in ((held.tokens, tokens), (held.cost, _micros(cost)))
        if reservation is not None
    ]
    x.around.limiter.run(together([*_ended(x, held, outcome), *settling]))


def give_back(x: Exchange, held: Held, outcome: Outcome) -> None:
    """Nothing was used."""
    plans = x.around.limiter.plans
    ending = _ended(x, held, outcome)
    ending += [plans.settle(each, 0) for each in (held.tokens, held.cost) if each is not None]
    if held.requests and not held.called:
        ending.append(plans.refund([(bucket, 1) for bucket in held.requests]))
    x.around.limiter.run(together(ending))
    held.tokens, held.cost, held.requests = None, None, ()
    if held.budget:
        budgets.cancel(x.tenant_id, x.terms.request_id)
        held.budget = False


def _ended(x: Exchange, held: Held, outcome: Outcome) -> list[Plan[Any]]:
    ending: list[Plan[Any]] = []
    if held.slot is not None:
        ending.append(held.slot.leaving())
    if held.permit is not None:
        ending.append(x.around.breakers.telling(held.provider.name, held.permit, outcome))
    held.slot = held.permit = None
    return ending


def _driven(x: Exchange, plan: Plan[T]) -> Waiting[T]:
    """What a plan of the limiter comes to; where it pauses, so does the pipe."""
    try:
        step = next(plan)
        while True:
            if isinstance(step, Ask):
                step = plan.send(x.around.limiter.ask(step))
            else:
                yield Pause(step.seconds)
                step = plan.send(None)
    except StopIteration as done:
        result: T = done.value
        return result


def _of(buckets: Sequence[Bucket], unit: str) -> list[Bucket]:
    return [bucket for bucket in buckets if bucket.unit == unit]


def _longest(denied: Sequence[Decision]) -> float | None:
    """Seconds until all of them would pass; None: one never does."""
    waits = [decision.retry_after for decision in denied]
    return None if None in waits else max(wait for wait in waits if wait is not None)


def _micros(nano: int) -> int:
    return -(-nano // _MICRO)


def _reached(violated: Sequence[str], after: float | None) -> LimitReached:
    which = ", ".join(violated) or "a limit"
    told = "this much never passes" if after is None else f"it passes in {after:.1f} s"
    return LimitReached(f"{which} is reached: {told}", violated=violated, retry_after=after)
