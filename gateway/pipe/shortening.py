"""The step that shortens the prompt, where the policy asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gateway.compress import Options, Turn, compress
from gateway.errors import ContextTooLong
from gateway.pipe import measuring
from gateway.pipe.choosing import row_of
from gateway.pipe.exchange import Exchange
from gateway.request import Message
from gateway.router import Option, RouteDecision


def shorten(x: Exchange) -> None:
    """Shorten the prompt if the policy says so, as the chosen model counts.

    Only turns that are text alone are touched: what a tool call or an image refers to stays.
    Raises ContextTooLong when what must stay has no room in any of the models to be tried.
    """
    if not x.policy.compress or x.decision is None:
        return
    row = row_of(x, x.decision.chosen)
    before = measuring.size(x, row).tokens
    turns = [Turn(each.role, each.content, pinned=not _is_text(each)) for each in x.prompt]
    options = Options(x.policy.token_budget, examples=x.policy.examples)
    done = compress(turns, lambda text: measuring.tokens_of(text, row), options)
    x.prompt = tuple(
        replace(each, content=turn.text) if _is_text(each) else each
        for each, turn in zip(x.prompt, done.turns, strict=True)
    )
    x.tokens_removed = max(0, before - measuring.size(x, row).tokens)
    x.decision = _refitted(x, x.decision)
    x.tokens_in = x.decision.tokens_in


def _is_text(message: Message) -> bool:
    return not message.parts and not message.tool_calls and message.role != "tool"


def _refitted(x: Exchange, decision: RouteDecision) -> RouteDecision:
    """The decision with what the shortened prompt costs at worst, without what it has no room in.

    A model was chosen for the tokens that the policy's budget promises; what is protected may need
    more.
    """
    options = list(_fitting(x, (decision.chosen, *decision.fallbacks)))
    if not options:
        raise ContextTooLong(
            f"the prompt exceeds model {decision.model!r} even when it is shortened: what is left "
            "is protected, or belongs to tools and pictures; shorten it yourself",
            param="messages",
        )
    tokens_in = options[0].tokens_in
    return replace(decision, chosen=options[0], fallbacks=tuple(options[1:]), tokens_in=tokens_in)


def _fitting(x: Exchange, options: tuple[Option, ...]) -> Iterator[Option]:
    for option in options:
        row = row_of(x, option)
        tokens = measuring.size(x, row).upper
        most = min(option.max_output, row.context_window - tokens)
        if most >= 1:
            worst = row.prices.cost(tokens, most)
            yield replace(option, tokens_in=tokens, max_output=most, worst_cost=worst)
