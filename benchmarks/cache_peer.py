"""A semantic cache that people would use instead: GPTCache, set up as its documentation shows.

SQLite for texts, faiss for vectors, the distance of vectors as the score, its own threshold. It is
given our encoder: the one it would download is of the same kind, and what is compared is the cache.

It is imported by name when it is measured: whoever only runs this system lacks it. It installs what
it misses by itself, so everything it needs is looked for before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DISTRIBUTION = "gptcache"
NEEDED = ("gptcache", "sqlalchemy", "faiss")
ENOUGH = 1 << 30
"""Entries that it keeps; by itself it forgets all but the last thousand."""

Encoder = Callable[[list[str]], NDArray[np.float32]]


def missing() -> str:
    """Why it cannot be measured; empty if it can."""
    lacking = [name for name in NEEDED if find_spec(name) is None]
    told = "not measured: {} is not installed (pip install -r requirements-dev.txt)"
    return told.format(lacking[0]) if lacking else ""


class GptCache:
    """One cache of it, in a directory of its own."""

    def __init__(self, directory: Path, encode: Encoder) -> None:
        manager, evaluation = (
            import_module(f"gptcache.{name}") for name in ("manager", "similarity_evaluation")
        )
        import_module("faiss").omp_set_num_threads(1)  # others would spin while ours is measured
        self._ask = import_module("gptcache.adapter.api").get
        self._rows: Any = manager.get_data_manager(
            manager.CacheBase("sqlite", sql_url=f"sqlite:///{directory / 'peer.sqlite3'}"),
            manager.VectorBase(
                "faiss",
                dimension=encode(["How long is a vector?"]).shape[1],
                index_path=os.devnull,  # written when the process ends, after the directory
            ),
            max_size=ENOUGH,
        )
        self._score: Any = evaluation.SearchDistanceEvaluation()
        self._cache: Any = import_module("gptcache").Cache()
        self._cache.init(
            pre_embedding_func=import_module("gptcache.processor.pre").get_prompt,
            embedding_func=lambda text, **_: encode([text])[0],
            data_manager=self._rows,
            similarity_evaluation=self._score,
        )

    @property
    def threshold(self) -> float:
        """The score from which on it answers, by default."""
        least, most = self._score.range()
        return float(least + (most - least) * self._cache.config.similarity_threshold)

    def keep(self, questions: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Store an answer for each question."""
        answers, sessions = ["x" * 300] * len(questions), [None] * len(questions)
        self._rows.import_data(list(questions), answers, list(vectors), sessions)

    def hits(self, question: str) -> bool:
        """Whether it answers."""
        return self._ask(question, cache_obj=self._cache) is not None

    def scores(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """How alike it finds pairs of questions whose unit vectors have these cosines."""
        squared = 2 - 2 * cosines  # what faiss tells of unit vectors
        return np.array(
            [self._score.evaluation({}, {"search_result": (each, 0)}) for each in squared]
        )
