"""The steps that say what a call was worth: usage, answer, ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway import catalogue, ledger, routes, savings
from gateway.models import LanguageModel
from gateway.pipe import measuring
from gateway.pipe.choosing import EXPECTATION
from gateway.pipe.exchange import Exchange
from gateway.pipe.reserving import payer_of
from gateway.pricing import Prices
from gateway.providers.call import Reply
from gateway.request import Answer, Usage

FREE = Prices(0, 0)
_SLACK = 1.1
"""What a provider may count beyond what was asked or fits: chat templates, other vocabularies."""
_FEW = 64
"""Tokens of slack in any case."""


def usage_of(x: Exchange, row: LanguageModel, reply: Reply, asked: int) -> Usage:
    """What the provider counted; counted here where it said nothing, or what cannot be.

    A usage without an answer's tokens for an answer with a text is wrong, and so is an answer
    longer than was `asked` for, or one that has no room in the model beside its prompt.
    """
    told = reply.usage
    said = bool(reply.text or reply.tool_calls)
    if (
        told
        and told.total_tokens <= _with_slack(row.context_window)
        and told.completion_tokens <= _with_slack(asked)
        and (told.completion_tokens or not said)
    ):
        return told
    tools = "".join(str(call) for call in reply.tool_calls)
    said_tokens = measuring.tokens_of(reply.text + tools, row)
    return Usage(measuring.size(x, row).tokens, said_tokens)


def _with_slack(tokens: int) -> float:
    return tokens * _SLACK + _FEW


@dataclass(frozen=True, slots=True)
class Priced:
    """An answer with the tokens and the money behind it."""

    answer: Answer
    usage: savings.Usage
    amounts: savings.Amounts


def price(x: Exchange, row: LanguageModel, reply: Reply, asked: int) -> Priced:
    """The answer that a reply is, and what it cost; `asked` are the tokens it might have."""
    told = usage_of(x, row, reply, asked)
    EXPECTATION.learn(x, told.completion_tokens)
    measuring.learn(x, row, reply, told)
    usage = savings.Usage(
        told.prompt_tokens, told.completion_tokens, reply.cached_tokens, x.tokens_removed
    )
    amounts = savings.amounts(usage, row.prices, _baseline(x, row.prices))
    answer = Answer(
        text=reply.text,
        model=row.name,
        provider=row.provider.name,
        finish_reason=reply.finish_reason,
        usage=told,
        tool_calls=reply.tool_calls,
        refused=reply.refused,
        cost_nanodollars=amounts.cost,
        saved_nanodollars=amounts.saved,
        route=x.decision,
        simulated=reply.simulated,
    )
    return Priced(answer, usage, amounts)


def record(x: Exchange, priced: Priced, *, reserved: bool) -> Answer:
    """Write the call into the ledger and settle the budgets; the decision follows soon.

    The answer names the budgets that have reached their soft bound.
    """
    done = _write(x, priced.answer, priced.usage, priced.amounts, reserved=reserved)
    if x.decision is not None:
        routes.keep(
            x.tenant_id,
            x.terms.request_id,
            x.decision,
            policy=x.policy.name,
            task_class=x.request.taken_as,
        )
    return replace(priced.answer, warnings=done.warnings) if done.warnings else priced.answer


def record_hit(x: Exchange, answer: Answer) -> Answer:
    """Write a call that was answered without a model; the answer says what that saved."""
    row = catalogue.view().model(x.tenant_id, answer.model)
    prices = row.prices if row else FREE
    usage = savings.Usage(answer.usage.prompt_tokens, answer.usage.completion_tokens)
    amounts = savings.amounts(usage, prices, prices, hit=True)
    _write(x, answer, usage, amounts, reserved=False)
    return replace(answer, cost_nanodollars=0, saved_nanodollars=amounts.saved)


def _write(
    x: Exchange,
    answer: Answer,
    usage: savings.Usage,
    amounts: savings.Amounts,
    *,
    reserved: bool,
) -> ledger.Recorded:
    return ledger.record(
        ledger.Call(
            request_id=x.terms.request_id,
            payer=payer_of(x, answer.model),
            usage=usage,
            amounts=amounts,
            provider=answer.provider,
            policy=x.policy.name,
            task_class=x.request.taken_as,
            hit_level=answer.hit_level.value,
            simulated=answer.simulated,
            reserved=reserved,
        )
    )


def _baseline(x: Exchange, otherwise: Prices) -> Prices:
    """The prices of the priciest model that could have been called."""
    name = x.decision.baseline if x.decision is not None else ""
    row = catalogue.view().model(x.tenant_id, name) if name else None
    return row.prices if row is not None else otherwise
