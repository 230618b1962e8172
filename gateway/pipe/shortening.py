"""The step that shortens the prompt, where the policy asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.compress import Options, Turn, compress
from gateway.pipe.exchange import Exchange
from gateway.request import Message
from gateway.tokens import count, count_messages


def count_tokens(messages: Sequence[Message], model: str = "") -> int:
    """Tokens of a prompt, as `model` reads it."""
    return count_messages((message.content for message in messages), model).tokens


def measure(x: Exchange) -> None:
    """Count the prompt as it came."""
    x.tokens_in = count_tokens(x.prompt, x.request.model or "")


def shorten(x: Exchange) -> None:
    """Shorten the prompt if the policy says so.

    Only turns that are text alone are touched: what a tool call or an image refers to stays.
    """
    if not x.policy.compress:
        return
    model = x.request.model or ""
    turns = [Turn(each.role, each.content, pinned=not _is_text(each)) for each in x.prompt]
    done = compress(turns, lambda text: count(text, model).tokens, Options(x.policy.token_budget))
    x.prompt = tuple(
        replace(each, content=turn.text) if _is_text(each) else each
        for each, turn in zip(x.prompt, done.turns, strict=True)
    )
    after = count_tokens(x.prompt, model)
    x.tokens_removed, x.tokens_in = max(0, x.tokens_in - after), after


def _is_text(message: Message) -> bool:
    return not message.parts and not message.tool_calls and message.role != "tool"
