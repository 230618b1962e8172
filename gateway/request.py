"""What goes through the gateway: a question for a model, and its answer. Plain frozen values.

They say nothing about HTTP, rows or Redis: the endpoint, a task's handler and the tests make the
same `Request` and read the same `Answer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Json = Any
"""A value of JSON, made of dict, list, str, int, float, bool and None."""

Role = Literal["system", "developer", "user", "assistant", "tool"]
Visibility = Literal["tenant", "user", "global"]
TaskClass = Literal["simple", "complex", "critical"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error"]


class HitLevel(StrEnum):
    """Where an answer came from."""

    NONE = "none"
    """A model was called for it."""
    EXACT = "exact"
    """The same request was answered before."""
    NORMALISED = "normalised"
    """The same words, apart from case, punctuation and courtesies."""
    SIMILAR = "similar"
    """Other words that have the same answer, as far as the policy's strictness asks."""
    COALESCED = "coalesced"
    """An identical request was under way and its answer was awaited."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `parts` are its contents as they came, where they are more than a text: JSON
    objects in their order, the texts among them. `content` has these texts joined, for counting
    and for keys; a content that is in no part is sent before the parts.
    """

    role: Role
    content: str
    name: str | None = None
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    tool_call_id: str | None = None
    parts: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question for a model: what is asked, how, for whom, and what may answer it.

    `tenant` and `user` are ids as text (the primary keys of their rows); `swarm`, `agent` and
    `definition` are names within the tenant. `model` None lets the router choose within `tier`.
    """

    tenant: str
    messages: tuple[Message, ...]
    model: str | None = None
    tier: str = ""
    temperature: float | None = None
    """None: the provider's default."""
    max_tokens: int | None = None
    response_format: Mapping[str, Json] | None = None
    tools: tuple[Mapping[str, Json], ...] = ()
    stop: tuple[str, ...] = ()
    stream: bool = False
    options: Mapping[str, Json] = field(default_factory=dict)
    """Further parameters that a provider gets as they are: top_p, seed, tool_choice …"""
    visibility: Visibility = "tenant"
    """Who may be given the answer later."""
    user: str | None = None
    locale: str = ""
    tags: tuple[str, ...] = ()
    """What the answer depends on; invalidating a tag makes older answers void."""
    epoch: str = ""
    """Version of the knowledge that the answer is drawn from."""
    swarm: str | None = None
    agent: str | None = None
    definition: str | None = None
    task_class: TaskClass | None = None
    """How much the call matters; its budget bounds the expected cost. None: simple, and without
    that bound where a model is asked for by name."""
    policy: str | None = None
    """Slug of the gateway policy; None: the tenant's default."""
    metadata: Mapping[str, Json] = field(default_factory=dict)
    """Of the caller's own: not sent, not kept, and not part of any key."""

    @property
    def taken_as(self) -> TaskClass:
        """The class in force: what nobody said anything about is simple."""
        return self.task_class or "simple"

    @property
    def question(self) -> str:
        """The last turn's text, if a user says it; else empty: nothing is similar to that."""
        last = self.messages[-1] if self.messages else None
        return last.content if last is not None and last.role == "user" else ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them, or as counted here when it did not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said, or said before; money in nano-dollars (10⁻⁹ $)."""

    text: str
    model: str
    provider: str
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    hit_level: HitLevel = HitLevel.NONE
    score: float | None = None
    """Probability that this answers the question, for a similar hit; 1 for exact ones."""
    age_seconds: float | None = None
    """Since the answer was stored."""
    entry: str | None = None
    """The cache's entry that was served, or under which this answer was stored."""
    cost_nanodollars: int = 0
    saved_nanodollars: int = 0
    route: Any = None
    """The router's `RouteDecision`, when a model was chosen."""
    simulated: bool = False
    """No model said this: a provider for trials made it up from the context."""
    warnings: tuple[str, ...] = ()
    """Budgets that have reached their soft bound with this call."""
    refused: bool = False
    """The provider says that the model declined: nobody is given this again."""

    @property
    def hit(self) -> bool:
        """Whether no model was called for it."""
        return self.hit_level is not HitLevel.NONE
