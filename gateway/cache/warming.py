"""Filling the cache before anybody asks: from lines of questions and answers, or from misses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from gateway.cache import entries
from gateway.cache.connection import Connection
from gateway.cache.keys import Partition
from gateway.cache.lookup import Ticket
from gateway.cache.misses import Missed, restored
from gateway.cache.policy import CachePolicy
from gateway.cache.response_cache import ResponseCache
from gateway.request import Answer, Message, Request
from ratelimit.scripts import Command, plain

AT_ONCE = 128
"""Answers that are embedded and stored together."""

_TEXTS = ("system", "model", "tier", "locale", "epoch", "visibility", "provider")
_VISIBILITIES = ("tenant", "global")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question with its answer."""

    request: Request
    answer: Answer


@dataclass(frozen=True, slots=True)
class Warmed:
    """How many answers were stored, and how many were not, by reason."""

    stored: int
    refused: dict[str, int]


def prepared(line: Any, tenant: str) -> Prepared:
    """What a line ``{"prompt", "answer", …}`` says. Raises TypeError and ValueError.

    It may also name system, model, tier, locale, epoch, visibility, provider (texts), tags (a list
    of texts) and cost_nanodollars: the scope must be the one that will be asked in.
    """
    if not isinstance(line, dict):
        raise TypeError("it is not a JSON object")
    unknown = sorted(set(line) - {"prompt", "answer", "tags", "cost_nanodollars", *_TEXTS})
    if unknown:
        raise ValueError(
            f"{unknown[0]} is not known: use prompt, answer, tags, {', '.join(_TEXTS)}"
        )
    text = {name: _text(line, name) for name in ("prompt", "answer")}
    more = {name: _text(line, name) if name in line else "" for name in _TEXTS}
    if more["visibility"] not in {"", *_VISIBILITIES}:
        raise ValueError(f"visibility is none of {', '.join(_VISIBILITIES)}")
    turns = [Message("user", text["prompt"])]
    if more["system"]:
        turns.insert(0, Message("system", more["system"]))
    request = Request(
        tenant=tenant,
        messages=tuple(turns),
        model=more["model"] or None,
        tier=more["tier"],
        locale=more["locale"],
        epoch=more["epoch"],
        visibility="global" if more["visibility"] == "global" else "tenant",
        tags=_tags(line),
    )
    answer = Answer(
        text=text["answer"],
        model=more["model"],
        provider=more["provider"] or "warmed",
        cost_nanodollars=_cost(line),
    )
    return Prepared(request, answer)


def warm(
    cache: ResponseCache,
    lines: Sequence[Prepared],
    policy_for: Callable[[Request], CachePolicy],
    advance: Callable[[int], object] = lambda _count: None,
) -> Warmed:
    """Store answers, newer ones over older ones. Raises Away, ModelMissing, Unscoped."""
    stored, refused = 0, Counter[str]()
    for start in range(0, len(lines), AT_ONCE):
        chosen = lines[start : start + AT_ONCE]
        commands = []
        for line, ticket in zip(chosen, _tickets(cache, chosen, policy_for), strict=True):
            made = _command(cache, line, ticket, policy_for(line.request))
            if isinstance(made, str):
                refused[made] += 1
            else:
                commands.append(made)
        for reply in cache.connection.ask_many(commands):
            if reply[0] == b"stored":
                stored += 1
            else:
                refused[reply[0].decode()] += 1
        advance(len(chosen))
    return Warmed(stored, dict(refused))


def recent_misses(connection: Connection, partition: Partition, most: int) -> list[Missed]:
    """What was asked and not found, what would have saved most first. Raises Away."""
    missed, texts, costs = (f"{partition.root}missed{kind}" for kind in ("", ":text", ":cost"))
    reply = connection.ask_many([plain(missed, "ZREVRANGE", missed, "0", "-1", "WITHSCORES")])[0]
    if not reply:
        return []
    flat = not isinstance(reply[0], list)  # RESP 2; RESP 3 answers with pairs
    keys, counts = (reply[::2], reply[1::2]) if flat else zip(*reply, strict=True)
    names = [key.decode() for key in keys]
    kept, spent = connection.ask_many(
        [plain(texts, "HMGET", texts, *names), plain(costs, "HMGET", costs, *names)]
    )
    known = [int(cost) for cost in spent if cost]
    usual = sum(known) // len(known) if known else 1
    found = []
    for text, count, cost in zip(kept, counts, spent, strict=True):
        with suppress(ValueError, KeyError, TypeError):  # written by another version
            found.append(restored(text, float(count), int(cost) if cost else usual))
    return sorted(found, key=attrgetter("value"), reverse=True)[:most]


def _tickets(
    cache: ResponseCache,
    chosen: Sequence[Prepared],
    policy_for: Callable[[Request], CachePolicy],
) -> Iterator[Ticket]:
    places = [cache.place(line.request, policy_for(line.request)) for line in chosen]
    texts = [line.request.question.encode("utf-8", "replace").decode() for line in chosen]
    vectors = cache.embedder.embed(texts)
    # One look tells the server's time and generation; each partition has its own generation.
    looks = {place.partition: cache.first_levels(place, "peek")[0] for place in places}
    for line, place, vector in zip(chosen, places, vectors, strict=True):
        reply = looks[place.partition]
        yield Ticket(line.request, place, int(reply[1]), reply[2], vector)


def _command(
    cache: ResponseCache, line: Prepared, ticket: Ticket, policy: CachePolicy
) -> Command | str:
    why = entries.refused(line.answer)
    if why is not None:
        return why
    command, _ = cache.storing(ticket, line.answer, policy)
    return "size" if command is None else command


def _text(line: dict[str, Any], name: str) -> str:
    value = line.get(name)
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a text")
    return value.encode("utf-8", "replace").decode()


def _tags(line: dict[str, Any]) -> tuple[str, ...]:
    tags = line.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise TypeError("tags is not a list of texts")
    return tuple(tags)


def _cost(line: dict[str, Any]) -> int:
    cost = line.get("cost_nanodollars", 0)
    if not isinstance(cost, int) or isinstance(cost, bool) or not 0 <= cost < 10**15:
        raise TypeError("cost_nanodollars is not a whole number from 0 to 10^15")
    return cost
