"""Answers, pieces and errors in the JSON that OpenAI's clients read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from gateway.errors import GatewayError
from gateway.pipe import Chunk
from gateway.request import Answer, HitLevel, Usage

NANO = 10**9
DONE = b"data: [DONE]\n\n"


def completion(answer: Answer, request_id: str, created: int) -> dict[str, Any]:
    """A whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.refused:
        message |= {"content": None, "refusal": answer.text}
    if answer.tool_calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = [dict(call) for call in answer.tool_calls]
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": created,
        "model": answer.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
        ],
        "usage": usage(answer.usage),
        "system_fingerprint": None,
        "ansf": told(answer),
    }


def piece(chunk: Chunk, request_id: str, created: int, *, first: bool) -> dict[str, Any]:
    """A part of a streamed answer."""
    delta: dict[str, Any] = {"role": "assistant", "content": ""} if first else {}
    if chunk.text:
        delta["content"] = chunk.text
    if chunk.refusal:
        delta["refusal"] = chunk.refusal
    if chunk.tool_calls:
        delta["tool_calls"] = [dict(call) for call in chunk.tool_calls]
    choice = {
        "index": 0,
        "delta": delta,
        "logprobs": None,
        "finish_reason": chunk.finish_reason,
    }
    return _part(chunk.model, request_id, created, [choice])


def last_piece(answer: Answer, request_id: str, created: int) -> dict[str, Any]:
    """The piece without a choice that ends a stream with its usage."""
    part = _part(answer.model, request_id, created, [])
    return part | {"usage": usage(answer.usage), "ansf": told(answer)}


def _part(model: str, request_id: str, created: int, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": choices,
        "system_fingerprint": None,
    }


def usage(tokens: Usage) -> dict[str, int]:
    """Tokens of a call, also of one that was answered from the cache."""
    return {
        "prompt_tokens": tokens.prompt_tokens,
        "completion_tokens": tokens.completion_tokens,
        "total_tokens": tokens.total_tokens,
    }


def told(answer: Answer) -> dict[str, Any]:
    """Where an answer came from and what it cost."""
    return {
        "hit_level": answer.hit_level.value,
        "score": answer.score,
        "age_seconds": answer.age_seconds,
        "entry": answer.entry,
        "provider": answer.provider,
        "cost_nanodollars": answer.cost_nanodollars,
        "saved_nanodollars": answer.saved_nanodollars,
        "simulated": answer.simulated,
        "budget_warnings": list(answer.warnings),
    }


def headers(answer: Answer) -> dict[str, str]:
    """The same, for those who look at headers only; money in dollars."""
    found = {
        "x-ansf-hit-level": answer.hit_level.value,
        "x-ansf-model": plain(answer.model),
        "x-ansf-cost": dollars(answer.cost_nanodollars),
        "x-ansf-saved": dollars(answer.saved_nanodollars),
    }
    if answer.score is not None:
        found["x-ansf-score"] = f"{answer.score:.4f}"
    if answer.age_seconds is not None:
        found["x-ansf-age"] = f"{answer.age_seconds:.0f}"
    if answer.entry is not None:
        found["x-ansf-entry"] = plain(answer.entry)
    if answer.simulated:
        found["x-ansf-simulated"] = "1"
    if answer.warnings:
        found["x-ansf-budget-warning"] = plain(", ".join(answer.warnings))
    return found


def opening_headers(chunk: Chunk) -> dict[str, str]:
    """What is known when a stream begins."""
    if chunk.answer is not None:
        return headers(chunk.answer)
    return {"x-ansf-hit-level": HitLevel.NONE.value, "x-ansf-model": plain(chunk.model)}


def dollars(nano: int) -> str:
    """Nano-dollars as dollars, exactly."""
    sign = "-" if nano < 0 else ""
    return f"{sign}{abs(nano) // NANO}.{abs(nano) % NANO:09d}"


def plain(text: str) -> str:
    """Text that a header can hold."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def event(document: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: " + encoded(document) + b"\n\n"


def encoded(document: Any) -> bytes:
    """JSON as UTF-8; half a character that a model sent becomes a question mark."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def failure(error: GatewayError) -> dict[str, Any]:
    """The document of an error."""
    return {
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.code,
        }
    }


def failure_headers(error: GatewayError) -> dict[str, str]:
    """When to come back, where that is known; a client of that API reads either."""
    if error.retry_after is None:
        return {}
    seconds = max(0.0, error.retry_after)
    return {
        "retry-after": str(math.ceil(seconds)),
        "retry-after-ms": str(math.ceil(seconds * 1000)),
    }
