"""The response cache with many entries in one scope: what a lookup costs at each level.

Entries are stored through the script that stores every entry. The questions that are looked up and
the nearest of what is stored are real texts with real vectors; the bulk are unit vectors around
them, so that a search has candidates to compare. GPTCache, where it is installed, gets the same
questions and vectors, and is asked in turn. :mod:`benchmarks.scenarios.cache_judging` adds how many
questions both would answer, and how many wrongly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import redis
from numpy.typing import NDArray

from ansf_platform.services.valkey import Valkey
from benchmarks import cache_peer
from benchmarks.cache_peer import GptCache
from benchmarks.figures import Figure, Findings, percentile
from benchmarks.scenarios import cache_judging
from gateway.cache import CachePolicy, ResponseCache, entries
from gateway.cache.connection import Connection
from gateway.cache.encoding import digest
from gateway.cache.lookup import Ticket
from gateway.embedder import MINILM, MiniLM
from gateway.request import Answer, HitLevel, Message, Request, Usage
from kernels.vectors import quantize_int8
from ratelimit.scripts import Command

ENTRIES = 100_000
LOOKUPS = 300
"""Of each kind, in a round."""

_PORTION = 2_000
_NOISE = 0.9
"""Length of what is added to a real vector: the bulk has cosines up to about 0.75 with it."""

_PATIENT_S = 10.0
_LOADED_WITHIN_S = 60.0
_MS = 1e3
_ROOM_MB = 2_048
_POLICY = CachePolicy(budget_bytes=1 << 40)

_ANSWER = entries.pack(Answer(text="x" * 300, model="m", provider="p", usage=Usage(30, 80)))

_THINGS = ("router", "password", "invoice", "subscription", "delivery address", "profile picture",
           "printer", "backup", "bank card", "newsletter")  # fmt: skip
_ACTS = ("reset", "change", "find", "cancel", "share", "export")
_WHERE = ("on my phone", "at work", "from abroad", "without the app", "for my team")
_STORED = ("How do I {} my {} {}?",)
_ASKED = ("What is the way to {} my {} {}?", "I would like to {} the {} {}, how?",
          "Can somebody else {} my {} {}?", "Why does it take long to {} a {} {}?")  # fmt: skip

_EMBEDDED = ("Tell me how one can {} a {} {}.", "I want to {} your {} {}!",
             "Is it hard to {} another {} {}?", "Who may {} our {} {}?")  # fmt: skip
"""No question twice in a process: it remembers their vectors."""

_TURN = 25
"""Lookups of ours before as many of the peer's, which would else find the caches of the processor
full of each other's."""
_NO_REDISVL = "not measured: it needs the search module of Redis, which no server here has"


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """`tasks` entries (100 000), `rounds` times 300 lookups of each kind."""
    findings = Findings("cache", "manage.py bench cache --json")
    count, repeated = tasks or ENTRIES, rounds or 1
    with (
        Valkey(maxmemory_mb=_ROOM_MB) as valkey,
        redis.Redis.from_url(valkey.url) as client,
        TemporaryDirectory() as directory,
    ):
        findings.servers["valkey"] = valkey.version()
        cache = ResponseCache(Connection(client, budget_s=_PATIENT_S), MINILM)
        stored = _questions(_STORED)
        begun = time.perf_counter()
        _fill(cache, stored, count)
        filled_s = time.perf_counter() - begun
        loaded_s = _load(cache, count)
        peer = _peer(findings, Path(directory), stored, count)
        _lookups(findings, cache, stored, repeated, peer)
        cache.connection.close()
    findings.add("entries", Figure(count, "", 1, note="in one scope"))
    findings.add("stores_per_s", Figure(count / filled_s, "1/s", count, note="by pipeline"))
    findings.add("load_s", Figure(loaded_s, "s", 1, note="a new process learns all vectors"))
    findings.absent["redisvl_lookup_p95_ms"] = _NO_REDISVL
    cache_judging.judge(findings, peer)
    return findings


def _peer(
    findings: Findings, directory: Path, stored: Sequence[str], count: int
) -> GptCache | None:
    """GPTCache with the same entries; without it, its figures are absent."""
    if lacking := cache_peer.missing():
        findings.absent |= dict.fromkeys(
            ("gptcache_lookup_p95_ms", "gptcache_lookup_p50_ms"), lacking
        )
        return None
    findings.servers[cache_peer.DISTRIBUTION] = version(cache_peer.DISTRIBUTION)
    peer = GptCache(directory, MiniLM().embed)  # ours would remember what was asked before
    for texts, vectors in _bulk(stored, count):
        peer.keep(texts, vectors)
    return peer


def _lookups(
    findings: Findings,
    cache: ResponseCache,
    stored: Sequence[str],
    rounds: int,
    peer: GptCache | None,
) -> None:
    """Levels in turn, one lookup each, so that noise falls on all of them."""
    asked = _questions(_ASKED)
    loose = [f"hi, {question[:-1].lower()} please" for question in stored]
    kinds: dict[str, tuple[Sequence[str], Callable[[str], HitLevel | None]]] = {
        "lookup": (asked, lambda question: _found(cache, question)),
        "l1": (stored, lambda question: _found(cache, question)),
        "l2": (loose, lambda question: _found(cache, question)),
        "embedding": (_questions(_EMBEDDED), lambda question: _embedded(cache, question)),
    }
    peers_times, peers_hits = [], 0
    times: dict[str, list[float]] = {name: [] for name in kinds}
    levels: dict[str, list[HitLevel | None]] = {name: [] for name in kinds}
    for number in range(rounds * LOOKUPS):
        for name, (questions, look) in kinds.items():
            question = questions[number * 7 % len(questions)]
            begun = time.perf_counter()
            level = look(question)
            times[name].append((time.perf_counter() - begun) * _MS)
            levels[name].append(level)
        if peer is not None and number % _TURN == _TURN - 1:
            for turn in range(number + 1 - _TURN, number + 1):
                question = asked[turn * 7 % len(asked)]
                begun = time.perf_counter()
                peers_hits += peer.hits(question)
                peers_times.append((time.perf_counter() - begun) * _MS)
    _expect(levels["l1"], HitLevel.EXACT)
    _expect(levels["l2"], HitLevel.NORMALISED)
    similar = levels["lookup"].count(HitLevel.SIMILAR) / len(levels["lookup"])
    notes = {
        "lookup": f"other words: embedding, search, comparison; {similar:.0%} hits",
        "l1": "the same request",
        "l2": "the same words",
        "embedding": "of it, the embedding alone",
    }
    for name, note in notes.items():
        for figure, share in (("p95", 0.95), ("p50", 0.5)):
            value = percentile(times[name], share)
            findings.add(f"{name}_{figure}_ms", Figure(value, "ms", len(times[name]), 0, note))
    if peers_times:
        note = f"the same questions and entries; {peers_hits / len(peers_times):.0%} hits"
        for figure, share in (("p95", 0.95), ("p50", 0.5)):
            value = percentile(peers_times, share)
            findings.add(
                f"gptcache_lookup_{figure}_ms", Figure(value, "ms", len(peers_times), 0, note)
            )


def _expect(levels: Sequence[HitLevel | None], wanted: HitLevel) -> None:
    others = {level for level in levels if level is not wanted}
    if others:
        raise RuntimeError(f"lookups that must hit {wanted} ended in {others}")


def _found(cache: ResponseCache, question: str) -> HitLevel | None:
    answer = cache.find(_request(question), _POLICY).answer
    return answer.hit_level if answer else None


def _embedded(cache: ResponseCache, question: str) -> None:
    cache.embed(question)


def _bulk(stored: Sequence[str], count: int) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Portions of what is stored: the real questions first, then others with vectors near them."""
    real = MINILM.embed(list(stored))
    generator = np.random.default_rng(1)
    for start in range(0, count, _PORTION):
        numbers = range(start, min(count, start + _PORTION))
        near = real[[number % len(real) for number in numbers]]
        noise = generator.standard_normal(near.shape).astype(np.float32)
        noise *= _NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        noise[[number < len(real) for number in numbers]] = 0
        vectors = near + noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield [_text(stored, number) for number in numbers], vectors


def _fill(cache: ResponseCache, stored: Sequence[str], count: int) -> None:
    place = cache.place(_request(stored[0]), _POLICY)
    reply, _ = cache.first_levels(place, "peek")
    ticket = Ticket(_request(""), place, int(reply[1]), reply[2])
    for texts, vectors in _bulk(stored, count):
        commands = [
            _storing(cache, ticket, text, vector)
            for text, vector in zip(texts, _packed(vectors), strict=True)
        ]
        refused = {reply[0] for reply in cache.connection.ask_many(commands)} - {b"stored"}
        if refused:
            raise RuntimeError(f"entries were not stored: {refused}")


def _storing(cache: ResponseCache, ticket: Ticket, question: str, vector: bytes) -> Command:
    place = ticket.place
    if question.endswith("?"):
        place = cache.place(_request(question), _POLICY)
    else:  # one of the bulk: nobody asks for it, so its digests need only be its own
        place = replace(place, exact=digest(question), normalised="")
    return entries.storing(
        replace(ticket, place=place),
        place.partition.new_entry(),
        _POLICY,
        size=1_000,
        cost=10_000,
        fields={"answer": _ANSWER, "question": question.encode(), "vector": vector},
    )


def _load(cache: ResponseCache, count: int) -> float:
    """Seconds until this process knows all vectors."""
    begun = time.perf_counter()
    cache.find(_request("Is anybody there?"), _POLICY)
    while cache.journal.rows < count:
        if time.perf_counter() - begun > _LOADED_WITHIN_S:
            raise TimeoutError(f"only {cache.journal.rows} of {count} vectors were loaded")
        time.sleep(0.01)
    return time.perf_counter() - begun


def _packed(vectors: NDArray[np.float32]) -> list[bytes]:
    codes = quantize_int8(vectors, "cosine")
    return [
        scale.tobytes() + row.tobytes()
        for scale, row in zip(codes.scales, codes.values, strict=True)
    ]


def _questions(patterns: Sequence[str]) -> list[str]:
    return [
        pattern.format(act, thing, where)
        for pattern, act, thing, where in product(patterns, _ACTS, _THINGS, _WHERE)
    ]


def _text(stored: Sequence[str], number: int) -> str:
    if number < len(stored):
        return stored[number]
    return f"{stored[number % len(stored)][:-1]} in case {number}"


def _request(question: str) -> Request:
    return Request(tenant="bench", messages=(Message("user", question),))
