"""The pipe itself: everything a call goes through, in its order.

It is a generator. It works in whatever thread drives it, and yields where it has to wait: for a
provider (`Ask`) or for a moment (`Pause`). So threads, asyncio and streams go through one pipe.
"""

from __future__ import annotations

from collections.abc import Generator

from gateway.errors import GatewayError, Interrupted, NoModel, ProviderFailed
from gateway.pipe import accounting, choosing, looking, reserving, shortening
from gateway.pipe.exchange import Ask, Effect, Exchange, Flow, Pause
from gateway.providers.attempts import Attempts
from gateway.providers.call import Call, Reply
from gateway.request import Answer
from gateway.router import Option

SOON_S = 2.0
"""A pause up to so long is worth it while another model could be tried instead."""


def flow(x: Exchange) -> Flow:
    """Scope → cache → coalesce → route → compress → reserve → call → settle → ledger → store.

    The ledger is written before the answer is stored: nothing is served that was not paid.
    """
    looking.scope(x)
    answer = looking.look(x) or (yield from looking.join(x))
    if answer is not None:
        return accounting.record_hit(x, answer)
    try:
        x.decision = choosing.decide(x)
        shortening.shorten(x)
        answer = yield from _called(x)
    except BaseException as error:
        looking.release(x, error)
        raise
    return looking.keep(x, answer)


def _called(x: Exchange) -> Generator[Effect, Reply | None, Answer]:
    """The answer of the chosen model, or of the first that stands in for it."""
    if x.decision is None:
        raise NoModel("no model was chosen")
    options = (x.decision.chosen, *x.decision.fallbacks)
    failures: list[GatewayError] = []
    for number, option in enumerate(options):
        try:
            return (yield from _persisted(x, option, last=number == len(options) - 1))
        except (ProviderFailed, NoModel) as error:
            if getattr(error, "begun", False):
                raise
            failures.append(error)
    raise _worst(failures)


def _persisted(
    x: Exchange, option: Option, *, last: bool
) -> Generator[Effect, Reply | None, Answer]:
    """Attempt after attempt, as often as the provider's row says and time allows."""
    row = choosing.row_of(x, option)
    attempts = Attempts(row.provider.retries, x.until)
    while True:
        try:
            return (yield from _attempt(x, option))
        except ProviderFailed as error:
            pause = attempts.pause_after(error)
            if pause > SOON_S and not last:
                raise
            yield Pause(pause)


def _attempt(x: Exchange, option: Option) -> Generator[Effect, Reply | None, Answer]:
    """One call of one model, between what it takes and what it gives back."""
    row = choosing.row_of(x, option)
    held = yield from reserving.taken(x, option, row.provider)
    try:
        held.called, x.model, x.first_piece_s = True, option.name, None
        reply = yield Ask(x.around.provider_of(row.provider), _call(x, option))
        if reply is None:
            raise NoModel("no answer came")  # noqa: TRY301 - nothing was used
    except Interrupted as gone:
        if gone.reply is None:
            reserving.give_back(x, held, reserving.went(x, held, gone))
        else:  # what had been said by then is paid, and nothing is stored
            _settled(x, option, held, gone.reply)
        raise
    except BaseException as error:
        reserving.give_back(x, held, reserving.went(x, held, error))
        raise
    return _settled(x, option, held, reply)


def _call(x: Exchange, option: Option) -> Call:
    row, request = choosing.row_of(x, option), x.request
    return Call(
        model=row.upstream,
        messages=x.prompt,
        max_tokens=option.max_output,
        temperature=request.temperature,
        response_format=request.response_format,
        tools=request.tools,
        stop=request.stop,
        options=request.options,
        seconds=max(0.001, min(row.provider.timeout_seconds, x.seconds_left)),
    )


def _settled(x: Exchange, option: Option, held: reserving.Held, reply: Reply) -> Answer:
    outcome = reserving.went(x, held)
    priced = accounting.price(x, choosing.row_of(x, option), reply, option.max_output)
    used = priced.answer.usage.total_tokens
    reserving.settle(x, held, outcome, used, priced.answer.cost_nanodollars)
    return accounting.record(x, priced, reserved=held.budget)


def _worst(failures: list[GatewayError]) -> GatewayError:
    """What to tell of several failures: one that the caller can mend, else the first."""
    mendable = [error for error in failures if error.status < 500 and error.status != 429]  # noqa: PLR2004 - HTTP's classes
    return (mendable or failures)[0]
