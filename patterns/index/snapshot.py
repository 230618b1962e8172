"""One state of a namespace's index, and search in it: nothing here ever changes or waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels import rows
from patterns.filters import Filter, Mask
from patterns.index.parts import Part
from patterns.late import vectors
from patterns.vectors import Ids, Scores, Vectors, kernel_metric, score_of

DEPTH, FACTOR = 16, 5
"""Candidates reranked: so many, and so many for each wanted result. Among the 66 best by int8 code
were the ten nearest of 100 000 in every measured case, structured or not."""

Terms = tuple[int, str, str, int]
"""What vectors are: dimension, metric, encoder, version of the scaler."""
Candidates = Callable[[Part, Vectors, int, Mask], Ids]


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern, and how close it is."""

    id: int
    score: float
    count: int
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Parts from oldest to newest; `alive[i]` masks the rows of part i that are in force."""

    generation: int
    through: int
    metric: str
    parts: tuple[Part, ...]
    alive: tuple[Mask, ...]
    terms: Terms = (0, "", "", 0)

    @property
    def live(self) -> int:
        """Patterns in force."""
        return int(sum(np.count_nonzero(mask) for mask in self.alive))

    @property
    def rows(self) -> int:
        """Rows held, in force or not."""
        return sum(len(mask) for mask in self.alive)

    def search(
        self, queries: Vectors, k: int, where: Filter, *, exact: bool, candidates: Candidates
    ) -> list[list[Found]]:
        """The `k` closest of each comparable query, best first, equal scores by rising id."""
        masks = [
            alive & where.mask(len(alive), part.column) if where.conditions else alive
            for part, alive in zip(self.parts, self.alive, strict=True)
        ]
        ranked: list[list[tuple[float, int, int, int]]] = [[] for _ in queries]
        for number, (part, mask) in enumerate(zip(self.parts, masks, strict=True)):
            if not mask.any():
                continue
            if exact:
                found = _exact(part, queries, k, mask, self.metric)
            else:
                found = _reranked(part, queries, k, mask, metric=self.metric, candidates=candidates)
            for results, (places, scores) in zip(ranked, found, strict=True):
                ids = part.ids[places].tolist()
                results += [
                    (-score, id_, number, place)
                    for score, id_, place in zip(scores.tolist(), ids, places.tolist(), strict=True)
                ]
        return [[self._found(*one) for one in sorted(results)[:k]] for results in ranked]

    def _found(self, negative: float, id_: int, number: int, place: int) -> Found:
        part = self.parts[number]
        score = float(score_of(np.array([-negative], np.float32), self.metric)[0])
        return Found(id_, score, int(part.counts[place]), part.metadata(place))


def scanned(part: Part, queries: Vectors, depth: int, mask: Mask) -> Ids:
    """Candidates by a scan of the part's codes: shape (m, depth), -1 for none."""
    return vectors.top_k(part.codes, queries, depth, mask).indices


def _reranked(
    part: Part, queries: Vectors, k: int, mask: Mask, *, metric: str, candidates: Candidates
) -> list[tuple[Ids, Scores]]:
    depth = min(DEPTH + FACTOR * k, len(mask))
    chosen = candidates(part, queries, depth, mask)
    found = []
    for query, places in zip(queries, chosen, strict=True):
        real = places[places >= 0]
        scores = rows.exact_scores(part.vectors(real), query, kernel_metric(metric))
        found.append(_best(real, scores, part.ids, k))
    return found


def _exact(
    part: Part, queries: Vectors, k: int, mask: Mask, metric: str
) -> list[tuple[Ids, Scores]]:
    """Every row in float32, block by block."""
    kept: list[list[tuple[Ids, Scores]]] = [[] for _ in queries]
    for start, block in part.blocks():
        use = np.flatnonzero(mask[start : start + len(block)])
        if not use.size:
            continue
        chosen = block[use]
        for results, query in zip(kept, queries, strict=True):
            scores = rows.exact_scores(chosen, query, kernel_metric(metric))
            results.append(_best(use + start, scores, part.ids, k))
    return [
        _best(
            np.concatenate([places for places, _ in results]),
            np.concatenate([scores for _, scores in results]),
            part.ids,
            k,
        )
        for results in kept
    ]


def _best(places: Ids, scores: Scores, ids: Ids, k: int) -> tuple[Ids, Scores]:
    order = np.lexsort((ids[places], -scores))[:k]
    return places[order], scores[order]


def masks_of(parts: Sequence[Part]) -> tuple[Mask, ...]:
    """Which rows are in force: the last of each id, unless any part says it is gone."""
    if not parts:
        return ()
    ids = np.concatenate([part.ids for part in parts])
    alive = _last_of_each(ids) & ~np.isin(ids, np.concatenate([part.gone for part in parts]))
    edges = np.cumsum([len(part.ids) for part in parts])[:-1]
    return tuple(np.ascontiguousarray(mask) for mask in np.split(alive, edges))


def masks_after(before: Sequence[Mask], parts: Sequence[Part], gone: Ids) -> tuple[Mask, ...]:
    """The masks after rows came to the last part, which may be new, and ids went.

    Costs a look at all ids, not the sorting of them: `masks_of` once per segment is enough.
    """
    tail = parts[-1].ids
    old = before[-1] if len(before) == len(parts) else np.zeros(0, np.bool_)
    came = tail[len(old) :]
    changed = np.unique(np.concatenate([came, gone]))
    kept = [
        _without(mask, part.ids[: len(mask)], changed)
        for mask, part in zip([*before[: len(parts) - 1], old], parts, strict=True)
    ]
    fresh = _last_of_each(came) & ~np.isin(came, gone)
    return (*kept[:-1], np.concatenate([kept[-1], fresh]))


def _last_of_each(ids: Ids) -> Mask:
    last = np.zeros(len(ids), np.bool_)
    _, place = np.unique(ids[::-1], return_index=True)
    last[len(ids) - 1 - place] = True
    return last


def _without(mask: Mask, ids: Ids, changed: Ids) -> Mask:
    hit = np.isin(ids, changed)
    return mask & ~hit if hit.any() else mask
