"""Where an answer belongs, what a lookup found, and what became of an answer to keep."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.cache.coalescing import Flight
from gateway.cache.decision import Verdict
from gateway.cache.exact import exact_key
from gateway.cache.keys import Partition, digest_of
from gateway.cache.normalised import normalised_key
from gateway.cache.policy import CachePolicy
from gateway.cache.scope import is_cool, scope_of
from gateway.embedder import Vectors
from gateway.request import Answer, Request
from gateway.similarity.words import is_comparable
from gateway.strictness import Strictness
from ratelimit.scripts import Command


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answers to a request belong; digests throughout."""

    partition: Partition
    scope: str
    tags: str
    """Parted by blanks."""
    exact: str
    normalised: str
    """Empty: this question has no normal form, or only the exact one may be served."""
    similar: bool
    """Whether similar questions may get the answer."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A miss, to be handed in with the answer."""

    request: Request
    place: Place
    asked_at: int
    """By the server's clock, in µs: what is invalidated later makes the answer void."""
    generation: bytes
    vector: Vectors | None = None
    """Of the question, if the lookup made it."""
    flight: Flight | None = None
    """The call that this request makes while others wait for it."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """An answer, or the ticket of a miss; neither if nothing can be kept (`why`)."""

    answer: Answer | None = None
    ticket: Ticket | None = None
    why: str = ""
    verdict: Verdict | None = None
    """On the best similar entry, if any was compared."""
    would_be: str = ""
    """In shadow mode: the level that would have served."""
    note: Command | None = None
    """What counts the miss, where the caller wants to send it with what it asks next."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Whether an answer was kept: as which entry, or why not."""

    entry: str | None = None
    why: str = ""


def place_of(request: Request, policy: CachePolicy, embedder: str, prefix: str) -> Place:
    """Where a request's answers belong. Raises Unscoped and Unencodable."""
    scope = scope_of(request, policy, embedder)
    key, question = scope.key(), request.question
    loose = policy.strictness != Strictness.EXACT
    return Place(
        partition=Partition(scope.tenant, prefix),
        scope=key,
        tags=" ".join(map(digest_of, scope.tags)),
        exact=exact_key(key, request),
        normalised=(loose and normalised_key(key, question)) or "",
        similar=loose
        and is_comparable(question)
        and (is_cool(request.temperature) or policy.similar_at_any_temperature),
    )
