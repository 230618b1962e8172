"""Search over several namespaces, here and on other hosts, merged into one ranking.

`slug` is a namespace here, `east:slug` one on the host that ANSF_PATTERN_HOSTS calls east. Scores
of one metric mean the same everywhere, so merging is sorting; equal ones keep the order in which
the namespaces were named. A host that does not answer, or not what was asked, is an error, never
a shorter answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import ArrayLike

from ansf_platform.accounts.models import Tenant
from patterns import memory, namespaces, remote
from patterns.errors import NotFound, Unreachable, wrong
from patterns.models import Namespace

MAX_NAMESPACES = 16


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


@dataclass(frozen=True, slots=True)
class Answer:
    """For each query what was found, best first, and by which metric."""

    metric: str
    results: list[list[Hit]]


def search(tenant: Tenant, names: Sequence[str], question: Question) -> Answer:
    """For each query the `k` closest of all namespaces, best first.

    Raises NotFound, Invalid, and Unreachable for a host that does not answer.
    """
    if not 0 < len(names) <= MAX_NAMESPACES or len(set(names)) < len(names):
        raise wrong("/namespaces", f"names 1 to {MAX_NAMESPACES} different namespaces")
    if (question.vectors is None) == (question.series is None):
        raise wrong("", "needs vectors or series, and not both")
    here = {name: namespaces.named(tenant, name) for name in names if ":" not in name}
    _refuse_mixture(namespace.metric for namespace in here.values())
    away = [name for name in names if ":" in name]
    with ThreadPoolExecutor(max_workers=max(1, len(away))) as threads:
        asked = {name: threads.submit(_ask, name, question) for name in away}
        found = {name: _here(namespace, question) for name, namespace in here.items()}
        found |= {name: answer.result() for name, answer in asked.items()}
    metric = _refuse_mixture(answer.metric for answer in found.values())
    return Answer(metric, merge([found[name].results for name in names], question.k))


def merge(rankings: Sequence[Sequence[Sequence[Hit]]], k: int) -> list[list[Hit]]:
    """One ranking per query of the rankings of several namespaces."""
    together = zip(*rankings, strict=True)
    return [
        sorted((hit for hits in each for hit in hits), key=lambda hit: -hit.score)[:k]
        for each in together
    ]


def _here(namespace: Namespace, question: Question) -> Answer:
    if question.vectors is None:
        found = memory.search_series(
            namespace, question.series or [], question.k, question.filter, exact=question.exact
        )
    else:
        found = memory.search_many(
            namespace, question.vectors, question.k, question.filter, exact=question.exact
        )
    hits = [
        [Hit(namespace.slug, one.id, one.score, one.count, one.metadata) for one in each]
        for each in found
    ]
    return Answer(namespace.metric, hits)


def _refuse_mixture(found: Iterable[str]) -> str:
    """The metric of all of them."""
    metrics = sorted(set(found))
    if len(metrics) > 1:
        raise wrong("/namespaces", f"have different metrics ({', '.join(metrics)})")
    return metrics[0] if metrics else ""


def hosts() -> dict[str, str]:
    """Name and address of the other hosts."""
    pairs = (entry.partition("=") for entry in settings.ANSF["PATTERN_HOSTS"])
    return {name.strip(): address.strip().rstrip("/") for name, _, address in pairs}


def _ask(name: str, question: Question) -> Answer:
    """The same question to another host. Its refusals are told as they are."""
    host, _, slug = name.partition(":")
    address = hosts().get(host)
    if address is None:
        known = ", ".join(sorted(hosts())) or "there are none"
        raise NotFound(f"there is no host {host[:60]!r} in ANSF_PATTERN_HOSTS: {known}")
    body = _body(slug, question)
    told = remote.post(f"{address}/api/v1/patterns/search", body, host)
    try:
        found = [[_hit(name, hit) for hit in hits] for hits in told["results"]]
        metric = Namespace.Metric(told["metric"]).value
        as_asked = len(found) == len(body.get("vectors", body.get("series", ())))
        if not as_asked or any(len(hits) > question.k for hits in found):
            raise ValueError("other results than were asked for")  # noqa: TRY301 - told below
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreachable(f"{host} answers what cannot be understood: {error!r:.200}") from error
    return Answer(metric, found)


def _body(slug: str, question: Question) -> dict[str, Any]:
    """The question as JSON. Raises Invalid for what is no list of finite numbers."""
    body: dict[str, Any] = {
        "namespaces": [slug], "k": question.k, "exact": question.exact,
        "filter": dict(question.filter or {}),
    }  # fmt: skip
    try:
        if question.series is not None:
            body["series"] = [np.asarray(one, np.float64).tolist() for one in question.series]
        else:
            body["vectors"] = np.atleast_2d(np.asarray(question.vectors, np.float64)).tolist()
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong("", f"is no question for another host: {error}") from error
    return body


def _hit(name: str, told: Mapping[str, Any]) -> Hit:
    """A result of another host. Raises KeyError, TypeError, ValueError."""
    score, metadata = float(told["score"]), told["metadata"]
    if not math.isfinite(score) or not isinstance(metadata, dict):
        raise ValueError("a result without a score or metadata")
    return Hit(name, int(told["id"]), score, int(told["count"]), metadata)
