"""Within which an answer may be given again. Nothing in here is ever compared by similarity.

Two requests share a scope exactly if all fields are equal. What is missing here leaks; what does
not belong here (the question itself) would make a cache that never hits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from gateway.cache.encoding import digest
from gateway.cache.policy import CachePolicy
from gateway.request import Message, Request

COOL = 0.3
"""Highest temperature at which a caller wants the likeliest answer, not another one each time."""

GLOBAL = "global"

FORMAT = 2
"""Of entries as `entries.pack` writes them: a process finds none of another version's."""

_SYSTEM = ("system", "developer")


class Unscoped(ValueError):
    """This request's answers can be given to nobody: the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """All that must match exactly. Long parts stand here as their SHA-256."""

    tenant: str
    """Empty for answers that all tenants share."""
    visibility: str
    user: str
    """Empty unless only this user may see the answer."""
    tier: str
    model: str
    system: str
    tools: str
    response_format: str
    temperature: str
    """"cool", or above 0.3 the very number."""
    max_tokens: int | None
    stop: tuple[str, ...]
    options: str
    locale: str
    context: str
    """All earlier turns, and of the last one all but its text."""
    embedder: str
    epoch: str
    tags: tuple[str, ...]
    variant: str

    def key(self) -> str:
        """SHA-256 of all fields: equal if and only if the scopes are."""
        return digest((FORMAT, _FIELDS(self)))


_FIELDS = attrgetter(*[field.name for field in fields(Scope)])


def scope_of(request: Request, policy: CachePolicy, embedder: str) -> Scope:
    """The scope of a request's answers. Raises Unscoped, and Unencodable for what is not JSON."""
    if request.visibility == "user" and not request.user:
        raise Unscoped("only its user may see the answer, and the request names none")
    if not request.messages:
        raise Unscoped("the request has no messages")
    system, context = _split(request.messages)
    shared = request.visibility == GLOBAL
    return Scope(
        tenant="" if shared else request.tenant,
        visibility=request.visibility,
        user=(request.user or "") if request.visibility == "user" else "",
        tier=request.tier,
        model=request.model or "",
        system=digest(_turns(system)),
        tools=digest(request.tools),
        response_format=digest(request.response_format),
        temperature=_temperature(request.temperature),
        max_tokens=request.max_tokens,
        stop=request.stop,
        options=digest(request.options),
        locale=request.locale,
        context=digest(_turns(context)),
        embedder=embedder,
        epoch=request.epoch,
        tags=tuple(sorted(set(request.tags))),
        variant=policy.variant,
    )


def is_cool(temperature: float | None) -> bool:
    """Whether the likeliest answer is wanted; a caller that says nothing does not ask for more."""
    return temperature is None or temperature <= COOL


def _temperature(temperature: float | None) -> str:
    return "cool" if is_cool(temperature) else repr(float(temperature or 0))


def _split(messages: Sequence[Message]) -> tuple[Sequence[Message], list[Message]]:
    """The system's turns at the beginning; and the rest, without the text that is asked."""
    leading = 0
    while leading < len(messages) and messages[leading].role in _SYSTEM:
        leading += 1
    rest = list(messages[leading:])
    if rest and rest[-1].role == "user":
        last = rest[-1]
        rest[-1] = Message("user", "", last.name, last.tool_calls, last.tool_call_id, last.parts)
    return messages[:leading], rest


def _turns(messages: Iterable[Message]) -> list[tuple[object, ...]]:
    return [
        (turn.role, turn.content, turn.name, turn.tool_calls, turn.tool_call_id, turn.parts)
        for turn in messages
    ]
