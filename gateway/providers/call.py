"""What a provider is asked and what it answers: values, the same for every kind of provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.request import FinishReason, Json, Message, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One prompt for one model."""

    model: str
    """What the provider calls it."""
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    response_format: Mapping[str, Json] | None = None
    tools: tuple[Mapping[str, Json], ...] = ()
    stop: tuple[str, ...] = ()
    options: Mapping[str, Json] = field(default_factory=dict)
    seconds: float = 60.0
    """From sending to the end of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete answer. `usage` None: the provider did not say, or said nonsense."""

    text: str
    finish_reason: FinishReason = "stop"
    usage: Usage | None = None
    cached_tokens: int = 0
    """Of the prompt's tokens, those that the provider had cached."""
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    refused: bool = False
    """The model declined to answer."""
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a streamed answer; the last one has the finish reason, one may have the usage."""

    text: str = ""
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    """As they came: fragments with an index."""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    cached_tokens: int = 0
    refusal: str = ""
    simulated: bool = False


class Provider(Protocol):
    """Answers calls. Every method raises :class:`~gateway.errors.ProviderFailed`."""

    def complete(self, call: Call) -> Reply:
        """The whole answer."""

    def stream(self, call: Call) -> Generator[Piece, None, None]:
        """The answer as it comes; closing the iterator ends the call."""

    async def acomplete(self, call: Call) -> Reply:
        """`complete` for asyncio; cancelling it ends the call."""

    def astream(self, call: Call) -> AsyncGenerator[Piece, None]:
        """`stream` for asyncio."""
