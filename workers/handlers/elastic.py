"""Handlers on many series at once: search by warping, distances, matches, and vectors.

One task takes a batch, because a message costs more than a distance. Between items each looks
whether it was cancelled and says how far it is; what would not end in time is refused before it
begins, since a kernel cannot be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, ParamSpec

from celery import shared_task

from kernels import dtw, embedding
from kernels.series import Floats
from workers.context import GiveUp
from workers.handlers.looking import each, look_up

Series = list[float]
P = ParamSpec("P")

MAX_SERIES = 10_000
MAX_CELLS = 100_000_000_000
"""Of all alignments of a task, as if none were abandoned: about a minute."""

PART_CELLS = 2_000_000_000
"""Of the alignments between two looks at the cancel flag: about a second."""


MAX_MATRIX = 250_000
"""Distances in one answer: 5 MB of JSON."""

CHUNK = 256
"""Series that are encoded between two looks at the cancel flag: about 20 ms."""

_MANY: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "minItems": 1, "maxItems": MAX_SERIES},
        {"type": "object", "required": ["$from"]},
    ]
}
_ONE: dict[str, Any] = {
    "anyOf": [{"type": "array", "minItems": 1}, {"type": "object", "required": ["$from"]}]
}
_WINDOW: dict[str, Any] = {"type": ["integer", "null"], "minimum": 0}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 1000}
_ENCODER: dict[str, Any] = {"enum": sorted(embedding.ENCODERS)}


def _payload(required: Sequence[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": properties,
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "dtw.nearest_each": _payload(
        ["queries", "candidates"], queries=_MANY, candidates=_MANY, window=_WINDOW, k=_COUNT
    ),
    "dtw.pairwise": _payload(["series"], series=_MANY, others=_MANY, window=_WINDOW),
    "dtw.subsequence": _payload(["queries", "series"], queries=_MANY, series=_ONE, k=_COUNT),
    "features.embed_each": _payload(
        ["series"], series=_MANY, encoder=_ENCODER, scaler={"type": ["object", "null"]}
    ),
    "features.fit_scaler": _payload(
        ["series"],
        series=_MANY,
        encoder=_ENCODER,
        version={"type": "integer", "minimum": 1},
    ),
}


def _giving_up(handler: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any]]:
    """Input that a kernel refuses is refused at the next attempt too."""

    @wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        try:
            return handler(*args, **kwargs)
        except ValueError as error:
            raise GiveUp(str(error)) from error

    return wrapped


@shared_task(name="dtw.nearest_each")
@_giving_up
def nearest_each(
    queries: list[Series], candidates: list[Series], window: int | None = None, k: int = 1
) -> dict[str, Any]:
    """For each query the k candidates closest under warping, best first."""
    _check_count(queries, "queries")
    _check_count(candidates, "candidates")
    others, asked = dtw.collect(candidates), dtw.collect(queries, "queries")
    check_work(asked, others, window)
    steps = each(range(len(asked)), "queries")
    return {"neighbours": [closest(asked.points(index), others, window, k) for index in steps]}


@shared_task(name="dtw.pairwise")
@_giving_up
def pairwise(
    series: list[Series], others: list[Series] | None = None, window: int | None = None
) -> dict[str, Any]:
    """All distances between the series, or of each to each of the others, as rows."""
    _check_count(series, "series")
    rows = dtw.collect(series, "series")
    columns = rows if others is None else dtw.collect(others, "others")
    if len(rows) * len(columns) > MAX_MATRIX:
        raise GiveUp(
            f"{len(rows)} times {len(columns)} distances are more than {MAX_MATRIX}: split the task"
        )
    check_work(rows, columns, window)
    distances: list[list[float]] = [[] for _ in range(len(rows))]
    for index in each(range(len(rows)), "rows"):
        row = rows.points(index)
        for _, part in _parts(row, columns, window):
            distances[index] += dtw.pairwise([row], window, part)[0].tolist()
    return {"distances": distances}


@shared_task(name="dtw.subsequence")
@_giving_up
def subsequence(queries: list[Series], series: Series, k: int = 1) -> dict[str, Any]:
    """For each query the k best places in one long series where it occurs."""
    _check_count(queries, "queries")
    asked, long = dtw.collect(queries, "queries"), dtw.collect([series], "series")
    check_work(asked, long, None)
    matches = [
        [match._asdict() for match in dtw.subsequence(asked.points(index), series, k)]
        for index in each(range(len(asked)), "queries")
    ]
    return {"matches": matches}


@shared_task(name="features.embed_each")
@_giving_up
def embed_each(
    series: list[Series],
    encoder: str = embedding.MINIROCKET,
    scaler: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The vector of each series, raw or under a stored scaler."""
    _check_count(series, "series")
    known = None if scaler is None else embedding.Scaler.from_dict(scaler)
    vectors: list[list[float]] = []
    for part in _chunks(series):
        vectors += embedding.transform(part, encoder, known).tolist()
    return {"encoder": encoder, "vectors": vectors}


@shared_task(name="features.fit_scaler")
@_giving_up
def fit_scaler(
    series: list[Series], encoder: str = embedding.MINIROCKET, version: int = 1
) -> dict[str, Any]:
    """The scaler of a collection, to be stored with it."""
    _check_count(series, "series")
    vectors = [vector for part in _chunks(series) for vector in embedding.transform(part, encoder)]
    return {"scaler": embedding.Scaler.fit(vectors, encoder, version).as_dict()}


def _check_count(series: Sequence[object], name: str) -> None:
    if len(series) > MAX_SERIES:
        raise GiveUp(f"{len(series)} {name} are more than {MAX_SERIES}: split the task")


def closest(
    query: Floats, others: dtw.Collection, window: int | None, k: int
) -> dict[str, list[Any]]:
    """The k nearest, best first; between parts of a large search it looks around."""
    found: list[tuple[float, int]] = []
    for start, part in _parts(query, others, window):
        near = dtw.nearest(query, part, window, k)
        found += zip(near.distances.tolist(), (near.indices + start).tolist(), strict=True)
    best = sorted(found)[:k]
    return {"indices": [index for _, index in best], "distances": [far for far, _ in best]}


def check_work(asked: dtw.Collection, others: dtw.Collection, window: int | None) -> None:
    """Raises GiveUp when all alignments together would take more than about a minute."""
    band = _band(asked.longest, others.longest, window)
    cells = asked.flat.shape[1] * len(others) * band
    if cells > MAX_CELLS:
        raise GiveUp(
            f"{len(asked)} times {len(others)} alignments are about {cells:.1e} cells, more than "
            f"{MAX_CELLS:.0e}: pass a smaller window, or split the task"
        )


def _band(first: int, second: int, window: int | None) -> int:
    """At most so many cells for each sample of the first."""
    longest = max(first, second)
    return longest if window is None else min(longest, 2 * window + 1 + abs(first - second))


def _parts(
    query: Floats, others: dtw.Collection, window: int | None
) -> Iterator[tuple[int, dtw.Collection]]:
    """The others in parts that take about a second each, with the number of their first."""
    together = max(1, PART_CELLS // (len(query) * _band(len(query), others.longest, window)))
    if together >= len(others):
        yield 0, others
        return
    for start in range(0, len(others), together):
        look_up(f"before series {start} of {len(others)}")
        yield start, others.part(start, min(start + together, len(others)))


def _chunks(series: list[Series]) -> Iterator[list[Series]]:
    for index in each(range(-(-len(series) // CHUNK)), f"chunks of {CHUNK} series"):
        yield series[index * CHUNK : (index + 1) * CHUNK]
