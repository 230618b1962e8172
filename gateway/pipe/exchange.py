"""One call on its way through the pipe, and what the pipe asks of its surroundings."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.cache.lookup import Lookup
from gateway.cache.policy import CachePolicy
from gateway.models import GatewayPolicy
from gateway.providers.call import Call, Provider, Reply
from gateway.request import Answer, Message, Request
from gateway.router import RouteDecision

if TYPE_CHECKING:
    from gateway.pipe.surroundings import Surroundings

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How one call is to be made; not part of what is asked."""

    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Unique within the tenant: the ledger writes an id once."""
    seconds: float = PATIENCE_S
    """For everything together, waiting and attempts included."""
    token: str | None = None
    """Id of the API token that asks, for limits that count by it."""
    address: str | None = None
    """Of the client, likewise."""


@dataclass(slots=True)
class Exchange:
    """What is known about a call; each step of the pipe adds to it."""

    request: Request
    terms: Terms
    policy: GatewayPolicy
    around: Surroundings
    until: float = 0.0
    """When it must have ended, on this process's monotonic clock."""
    prompt: tuple[Message, ...] = ()
    """As it is sent: compressed, if the policy asks."""
    tokens_in: int = 0
    """Of the prompt as it is sent, as counted here."""
    tokens_removed: int = 0
    cached_as: CachePolicy | None = None
    """What the policy lets the cache do with it, once that was asked."""
    lookup: Lookup = field(default_factory=Lookup)
    decision: RouteDecision | None = None
    model: str = ""
    """That is being asked, for those who watch a stream begin."""
    first_piece_s: float | None = None
    """How long the first piece of a stream was waited for; None: nothing is streamed, or came."""

    def __post_init__(self) -> None:
        self.prompt = self.request.messages
        self.until = time.monotonic() + self.terms.seconds

    @property
    def tenant_id(self) -> int:
        """The tenant's primary key."""
        return int(self.request.tenant)

    @property
    def seconds_left(self) -> float:
        """Until it must have ended; at least 0."""
        return max(0.0, self.until - time.monotonic())


@dataclass(frozen=True, slots=True)
class Ask:
    """The pipe waits for a provider."""

    provider: Provider
    call: Call


@dataclass(frozen=True, slots=True)
class Pause:
    """The pipe waits for a moment."""

    seconds: float


Effect = Ask | Pause
Flow = Generator[Effect, Reply | None, Answer]
"""Does its work between the effects, which threads and asyncio perform each in their way."""
