"""A chat completion's JSON body as a `Request`; every mistake as 400 with its parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

from gateway.errors import Refused
from gateway.request import Message, Request, Role, TaskClass, Visibility

AUTO = "auto"
MOST_MESSAGES = 2_000
MOST_TOOLS = 128
MOST_STOPS = 16
MOST_TAGS = 20
MOST_OPTIONS = 40
MOST_ANSWER_TOKENS = 1_000_000
LONGEST_NAME = 100
"""Characters of names: models, tiers, tags, users."""
HOTTEST = 2.0
_ROLES = frozenset(get_args(Role))
_UNSUPPORTED: Mapping[str, Callable[[Any], bool]] = {
    "n": lambda value: value not in (None, 1),
    "logprobs": bool,
    "top_logprobs": bool,
    "audio": lambda value: value is not None,
    "modalities": lambda value: value not in (None, ["text"]),
    "functions": bool,
    "function_call": lambda value: value not in (None, "none"),
    "web_search_options": lambda value: value is not None,
    "store": bool,
}
"""What the answer has no place for, by the values that ask for it."""
_OWN = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "temperature", "max_tokens"),
        *("max_completion_tokens", "response_format", "tools", "stop", "user", "metadata", "ansf"),
        *_UNSUPPORTED,
    }
)
_EXTENSIONS = frozenset(
    {
        *("tier", "task_class", "policy", "tags", "epoch", "visibility", "locale"),
        *("swarm", "agent", "definition"),
    }
)


def request_of(body: Any, tenant: str) -> Request:
    """What a body asks for. Raises Refused."""
    if not isinstance(body, dict):
        raise Refused("the body is not a JSON object")
    _refuse_unsupported(body)
    extension = _extension(body)
    options = {name: value for name, value in body.items() if name not in _OWN}
    if len(options) > MOST_OPTIONS:
        raise Refused(f"the body has {len(options)} further parameters, at most {MOST_OPTIONS}")
    model = _text(body, "model", LONGEST_NAME)
    if not model:
        raise Refused("model is missing: name one of GET /v1/models, or auto", param="model")
    user = _text(body, "user", LONGEST_NAME)
    return Request(
        tenant=tenant,
        messages=_messages(body.get("messages")),
        model=None if model == AUTO else model,
        temperature=_number(body, "temperature", HOTTEST),
        max_tokens=_limit(body),
        response_format=_format(body.get("response_format")),
        tools=_tools(body.get("tools")),
        stop=_stops(body.get("stop")),
        stream=_flag(body, "stream"),
        options=options,
        # The caller's own customer: never mistaken for a person who has an account here.
        user=f"customer:{user}" if user else None,
        **extension,
    )


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Whether a stream is to end with its usage. Raises Refused."""
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise Refused("stream_options is not an object", param="stream_options")
    return bool(options.get("include_usage"))


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    for name, asks in _UNSUPPORTED.items():
        if asks(body.get(name)):
            raise Refused(f"{name} is not supported here: leave it out", param=name)


def _extension(body: Mapping[str, Any]) -> dict[str, Any]:
    given = body.get("ansf")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Refused("ansf is not an object", param="ansf")
    if unknown := sorted(set(given) - _EXTENSIONS):
        known = ", ".join(sorted(_EXTENSIONS))
        raise Refused(f"ansf has no member {unknown[0][:50]!r}: it has {known}", param="ansf")
    told: dict[str, Any] = {}
    for name in given.keys() - {"tags", "task_class", "visibility"}:
        told[name] = _text(given, name, LONGEST_NAME)
    told |= _choice(given, "task_class", get_args(TaskClass))
    told |= _choice(given, "visibility", get_args(Visibility))
    if "tags" in given:
        told["tags"] = _texts(given["tags"], "ansf.tags", MOST_TAGS)
    return told


def _choice(given: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> dict[str, str]:
    if name not in given:
        return {}
    if given[name] not in choices:
        raise Refused(f"ansf.{name} must be one of {', '.join(choices)}", param=f"ansf.{name}")
    return {name: given[name]}


def _messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise Refused("messages must be a list of at least one message", param="messages")
    if len(value) > MOST_MESSAGES:
        raise Refused(f"there are {len(value)} messages, at most {MOST_MESSAGES}", param="messages")
    return tuple(_message(each, number) for number, each in enumerate(value))


def _message(value: Any, number: int) -> Message:
    place = f"messages[{number}]"
    if not isinstance(value, dict):
        raise Refused(f"{place} is not an object", param=place)
    role = value.get("role")
    if role not in _ROLES:
        raise Refused(f"{place}.role must be one of {', '.join(sorted(_ROLES))}", param=place)
    text, parts = _content(value.get("content"), place)
    calls = value.get("tool_calls") or ()
    if not isinstance(calls, list | tuple) or not all(isinstance(each, dict) for each in calls):
        raise Refused(f"{place}.tool_calls must be a list of objects", param=place)
    if len(calls) > MOST_TOOLS:
        raise Refused(f"{place} has {len(calls)} tool calls, at most {MOST_TOOLS}", param=place)
    return Message(
        role=cast("Role", role),
        content=text,
        name=_text(value, "name", LONGEST_NAME) or None,
        tool_calls=tuple(calls),
        tool_call_id=_text(value, "tool_call_id", LONGEST_NAME) or None,
        parts=parts,
    )


def _content(value: Any, place: str) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    if value is None or isinstance(value, str):
        return value or "", ()
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise Refused(f"{place}.content must be a string or a list of parts", param=place)
    texts = [part for part in value if part.get("type") == "text"]
    if not all(isinstance(part.get("text"), str) for part in texts):
        raise Refused(f"{place}.content has a text part without a text", param=place)
    text = "\n".join(part["text"] for part in texts)
    plain = len(value) == 1 and value[0] == {"type": "text", "text": text}
    return text, () if plain else tuple(value)


def _limit(body: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"{name} must be a whole number", param=name)
        if not 1 <= value <= MOST_ANSWER_TOKENS:
            raise Refused(f"{name} must be from 1 to {MOST_ANSWER_TOKENS}", param=name)
        return value
    return None


def _format(value: Any) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Refused("response_format must be an object with a type", param="response_format")
    return value


def _tools(value: Any) -> tuple[Mapping[str, Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Refused("tools must be a list of objects", param="tools")
    if len(value) > MOST_TOOLS:
        raise Refused(f"there are {len(value)} tools, at most {MOST_TOOLS}", param="tools")
    return tuple(value)


def _stops(value: Any) -> tuple[str, ...]:
    return _texts([value] if isinstance(value, str) else value or [], "stop", MOST_STOPS)


def _texts(value: Any, name: str, most: int) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Refused(f"{name} must be strings", param=name)
    if len(value) > most or any(len(each) > LONGEST_NAME for each in value):
        raise Refused(f"{name}: at most {most} of {LONGEST_NAME} characters each", param=name)
    return tuple(value)


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused(f"{name} must be a string", param=name)
    if len(value) > longest:
        raise Refused(f"{name} has {len(value)} characters, at most {longest}", param=name)
    return value


def _number(body: Mapping[str, Any], name: str, most: float) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Refused(f"{name} must be a number from 0 to {most:g}", param=name)
    return float(value)


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(f"{name} must be true or false", param=name)
    return bool(value)
