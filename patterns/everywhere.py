"""Search over several namespaces, here and on other hosts, merged into one ranking.

`slug` is a namespace here, `east:slug` one on the host that ANSF_PATTERN_HOSTS calls east. Scores
of one metric mean the same everywhere, so merging is sorting; equal ones keep the order in which
the namespaces were named. A host that does not answer is an error, never a shorter answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from django.conf import settings
from numpy.typing import ArrayLike

from ansf_platform.accounts.models import Tenant
from patterns import memory, namespaces
from patterns.errors import NotFound, Unreachable, wrong
from patterns.models import Namespace

MAX_NAMESPACES = 16
TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern somewhere, and how close it is."""

    namespace: str
    id: int
    score: float
    count: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for: vectors as encoded, or series for each namespace's own encoder."""

    vectors: ArrayLike | None = None
    series: Sequence[Any] | None = None
    k: int = 10
    filter: Mapping[str, Any] | None = None
    exact: bool = False


def search(tenant: Tenant, names: Sequence[str], question: Question) -> list[list[Hit]]:
    """For each query the `k` closest of all namespaces, best first.

    Raises NotFound, Invalid, and Unreachable for a host that does not answer.
    """
    if not 0 < len(names) <= MAX_NAMESPACES or len(set(names)) < len(names):
        raise wrong("/namespaces", f"names 1 to {MAX_NAMESPACES} different namespaces")
    if (question.vectors is None) == (question.series is None):
        raise wrong("", "needs vectors or series, and not both")
    here = {name: namespaces.named(tenant, name) for name in names if ":" not in name}
    _refuse_mixture(here.values())
    away = [name for name in names if ":" in name]
    with ThreadPoolExecutor(max_workers=max(1, len(away))) as threads:
        asked = {name: threads.submit(_ask, name, question) for name in away}
        found = {name: _here(namespace, question) for name, namespace in here.items()}
        found |= {name: answer.result() for name, answer in asked.items()}
    return merge([found[name] for name in names], question.k)


def merge(rankings: Sequence[Sequence[Sequence[Hit]]], k: int) -> list[list[Hit]]:
    """One ranking per query of the rankings of several namespaces."""
    together = zip(*rankings, strict=True)
    return [
        sorted((hit for hits in each for hit in hits), key=lambda hit: -hit.score)[:k]
        for each in together
    ]


def _here(namespace: Namespace, question: Question) -> list[list[Hit]]:
    if question.vectors is None:
        found = memory.search_series(
            namespace, question.series or [], question.k, question.filter, exact=question.exact
        )
    else:
        found = memory.search_many(
            namespace, question.vectors, question.k, question.filter, exact=question.exact
        )
    return [
        [Hit(namespace.slug, one.id, one.score, one.count, one.metadata) for one in hits]
        for hits in found
    ]


def _refuse_mixture(found: Iterable[Namespace]) -> None:
    metrics = {namespace.metric for namespace in found}
    if len(metrics) > 1:
        raise wrong("/namespaces", f"have different metrics ({', '.join(sorted(metrics))})")


def hosts() -> dict[str, str]:
    """Name and address of the other hosts."""
    pairs = (entry.partition("=") for entry in settings.ANSF["PATTERN_HOSTS"])
    return {name.strip(): address.strip().rstrip("/") for name, _, address in pairs}


def _ask(name: str, question: Question) -> list[list[Hit]]:
    """The same question to another host. Its refusals are told as they are."""
    host, _, slug = name.partition(":")
    address = hosts().get(host)
    if address is None:
        known = ", ".join(sorted(hosts())) or "there are none"
        raise NotFound(f"there is no host {host[:60]!r} in ANSF_PATTERN_HOSTS: {known}")
    body = {
        "namespaces": [slug], "k": question.k, "exact": question.exact,
        "filter": dict(question.filter or {}),
    }  # fmt: skip
    if question.series is not None:
        body["series"] = [list(map(float, one)) for one in question.series]
    else:
        body["vectors"] = np.asarray(question.vectors, np.float64).tolist()
    answer = _post(f"{address}/api/v1/patterns/search", body, host)
    return [[Hit(**{**hit, "namespace": name}) for hit in hits] for hits in answer["results"]]


def _post(url: str, body: dict[str, Any], host: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {settings.ANSF['PATTERN_TOKEN']}"}
    try:
        answer = httpx.post(url, json=body, headers=headers, timeout=TIMEOUT_S)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(f"{host}: {answer.json()['detail']}")
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise wrong("", f"{host}: {answer.json()['detail']}")
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise Unreachable(f"{host} does not answer the question: {error}") from error
    return told
