"""The OpenAI chat format: requests written, answers, pieces, usage and errors read. Pure.

Servers that call themselves compatible leave things out and make things up, so whatever is read
here is checked: a usage that cannot be true is no usage, an answer without a choice is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import KeyMissing, ProviderFailed, ProviderLimited, ProviderRefused
from gateway.providers.call import Call, Piece, Reply
from gateway.request import FinishReason, Message, Usage

MOST_TOKENS = 100_000_000
"""Of one call; a usage beyond is nonsense."""
MOST_TOLD = 300
"""Characters of a provider's own message that are passed on."""
LONGEST_LINE = 2_000_000
"""Bytes of one event."""
LONGEST_WAIT = 3_600.0
_FINISHES: Mapping[str, FinishReason] = {
    **dict.fromkeys(("stop", "stop_sequence", "end_turn", "eos", "eos_token", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use"), "tool_calls"),
    **dict.fromkeys(
        ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "refusal"),
        "content_filter",
    ),
}
"""What servers call an end. Whatever else they say, or nothing, is `error`: such an answer may be
the half of one, so that it is passed on but never kept."""
_NEW_NAMES = ("o1", "o3", "o4", "gpt-5")
"""Models that know `max_completion_tokens` only."""


def body_of(call: Call, *, stream: bool) -> dict[str, Any]:
    """The JSON body of a chat completion."""
    body: dict[str, Any] = dict(call.options)
    body["model"] = call.model
    body["messages"] = [message_of(message) for message in call.messages]
    if call.max_tokens is not None:
        modern = call.model.rpartition("/")[2].startswith(_NEW_NAMES)
        body["max_completion_tokens" if modern else "max_tokens"] = call.max_tokens
    if call.temperature is not None:
        body["temperature"] = call.temperature
    if call.response_format is not None:
        body["response_format"] = dict(call.response_format)
    if call.tools:
        body["tools"] = [dict(tool) for tool in call.tools]
    if call.stop:
        body["stop"] = list(call.stop)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def message_of(message: Message) -> dict[str, Any]:
    """One turn as JSON."""
    told: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.tool_calls:
        told["tool_calls"] = [dict(call) for call in message.tool_calls]
        told["content"] = told["content"] or None
    if message.name is not None:
        told["name"] = message.name
    if message.tool_call_id is not None:
        told["tool_call_id"] = message.tool_call_id
    return told


def _content(message: Message) -> str | list[dict[str, Any]]:
    """The text, or the parts as they came; a text that is none of them goes first."""
    if not message.parts:
        return message.content
    parts = [dict(part) for part in message.parts]
    if message.content and all(part.get("type") != "text" for part in parts):
        parts.insert(0, {"type": "text", "text": message.content})
    return parts


def reply_of(raw: bytes) -> Reply:
    """A complete answer. Raises ProviderFailed for what is none."""
    document = _object(raw)
    choice = _first(document)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise ProviderFailed("the provider's answer has no message")
    text = _text(message.get("content"))
    refusal = _text(message.get("refusal"))
    tools = message.get("tool_calls") or ()
    usage, cached = usage_of(document.get("usage"))
    return Reply(
        text=text or refusal,
        finish_reason=_finish(choice.get("finish_reason")) or "error",
        usage=usage,
        cached_tokens=cached,
        tool_calls=tuple(tool for tool in tools if isinstance(tool, dict)),
        refused=bool(refusal),
    )


def piece_of(raw: str) -> Piece:
    """One event of a stream. Raises ProviderFailed for an error among the events."""
    document = _object(raw)
    if document.get("error"):
        raise ProviderFailed(f"the provider broke off: {_told(document)}")
    usage, cached = usage_of(document.get("usage"))
    if not document.get("choices"):
        return Piece(usage=usage, cached_tokens=cached)
    choice = _first(document)
    delta = choice.get("delta")
    delta = delta if isinstance(delta, dict) else {}
    tools = delta.get("tool_calls") or ()
    return Piece(
        text=_text(delta.get("content")),
        tool_calls=tuple(tool for tool in tools if isinstance(tool, dict)),
        finish_reason=_finish(choice.get("finish_reason")),
        usage=usage,
        cached_tokens=cached,
        refusal=_text(delta.get("refusal")),
    )


def _text(value: Any) -> str:
    """What is said; some servers say it in parts."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def usage_of(value: Any) -> tuple[Usage | None, int]:
    """The tokens that were told, and those of the prompt that were cached; None for nonsense."""
    if not isinstance(value, dict):
        return None, 0
    prompt, completion = _tokens(value, "prompt_tokens"), _tokens(value, "completion_tokens")
    if not prompt or completion is None:
        return None, 0
    details = value.get("prompt_tokens_details")
    cached = _tokens(details, "cached_tokens") if isinstance(details, dict) else 0
    return Usage(prompt, completion), min(cached or 0, prompt)


def _tokens(document: Mapping[str, Any], name: str) -> int | None:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_TOKENS else None


def failure_of(status: int, headers: Mapping[str, str], raw: bytes) -> ProviderFailed:
    """The error that an answer with this status is."""
    try:
        document = _object(raw)
    except ProviderFailed:
        document = {}
    told = _told(document) or "it says nothing more"
    match status:
        case 401 | 403:
            return KeyMissing(f"the provider refuses its key (status {status}): check the key")
        case 429:
            return ProviderLimited(
                f"the provider allows no more calls for now: {told}",
                code=_code(document),
                retry_after=_wait(headers),
            )
        case 408 | 409 | 425:
            return ProviderFailed(f"status {status}: {told}", retry_after=_wait(headers))
        case _ if 400 <= status < 500:  # noqa: PLR2004 - the client's errors
            return ProviderRefused(f"the provider refuses the request (status {status}): {told}")
        case _:
            return ProviderFailed(
                f"the provider failed with status {status}: {told}", retry_after=_wait(headers)
            )


def _wait(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, min(LONGEST_WAIT, float(headers.get(name, "")) * unit))
        except ValueError:
            continue
    return None


def _code(document: Mapping[str, Any]) -> str | None:
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if code == "insufficient_quota" else None


def _told(document: Mapping[str, Any]) -> str:
    error = document.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    text = message if isinstance(message, str) else ""
    return "".join(c if c.isprintable() else " " for c in text[:MOST_TOLD])


def _finish(value: Any) -> FinishReason | None:
    if value is None:
        return None
    return _FINISHES.get(value.casefold(), "error") if isinstance(value, str) else "error"


def _object(raw: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed("the provider's answer is not JSON") from error
    if not isinstance(value, dict):
        raise ProviderFailed("the provider's answer is not a JSON object")
    return value


def _first(document: Mapping[str, Any]) -> dict[str, Any]:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ProviderFailed("the provider's answer has no choice")
    return choices[0]


@dataclass(slots=True)
class Events:
    """Server-sent events out of blocks of bytes: the `data` of each, without the end mark."""

    ended: bool = False
    """The end mark has come, or a reason why the answer ended."""
    taken: int = 0
    """Bytes so far."""
    _rest: bytes = b""

    def feed(self, block: bytes) -> Iterator[str]:
        """The events that are complete with this block."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise ProviderFailed("the provider sends a line without an end")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip().decode("utf-8", "replace")
            if data == "[DONE]":
                self.ended = True
            elif data:
                yield data
