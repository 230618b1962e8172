"""What a cache answers, and what it answers wrongly: ours and GPTCache on the same labelled pairs.

They are a file that is not part of this project, of lines ``{"a", "b", "same_answer"}``: ``--data``
or ``ANSF_BENCH_DATA`` names it. A cache that answers everything hits always, so hits are counted
where wrong ones are a stated share of the pairs that must not hit.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import cache_peer
from benchmarks.cache_peer import GptCache
from benchmarks.figures import Figure, Findings
from gateway.embedder import MINILM
from gateway.labelled import compared
from gateway.samples import BadSample, read_pairs
from gateway.similarity.evaluation import Scores, hit_rate

_NO_PAIRS = "neither --data nor ANSF_BENCH_DATA names a file of labelled pairs"
_RATES = (("1pct", 0.01), ("5pct", 0.05))


def judge(findings: Findings, peer: GptCache | None) -> None:
    """Hits where 1 % and 5 % of the pairs that must not hit do, at each one's own score."""
    path = os.environ.get("ANSF_BENCH_DATA")
    names = [f"{who}hit_at_{rate}_percent" for who in ("", "gptcache_") for rate, _ in _RATES]
    if not path:
        findings.absent |= dict.fromkeys(names, _NO_PAIRS)
        return
    try:
        pairs = compared(read_pairs(Path(path)), MINILM.embed)
        _hits(
            findings, "", pairs.cross_validated(), pairs.labels, "a model fitted without the pair"
        )
        if peer is None:
            findings.absent |= dict.fromkeys(names[len(_RATES) :], cache_peer.missing())
            return
        scores = peer.scores(pairs.cosines)
    except (BadSample, ValueError) as error:
        findings.absent |= dict.fromkeys(names, str(error))
        return
    _hits(findings, "gptcache_", scores, pairs.labels, "its distance, of the same vectors")
    served = scores >= peer.threshold
    for name, chosen in (("hits", pairs.labels), ("wrong", ~pairs.labels)):
        share = 100 * float(served[chosen].mean())
        note = f"at its own threshold, of {chosen.sum()} pairs"
        findings.add(
            f"gptcache_default_{name}_percent", Figure(share, "%", int(chosen.sum()), 0, note)
        )


def _hits(
    findings: Findings, who: str, scores: Scores, labels: NDArray[np.bool_], how: str
) -> None:
    for name, wrong in _RATES:
        rate = hit_rate(scores, labels, wrong)
        note = f"95 %: {rate.low:.0%} to {rate.high:.0%}; score: {how}"
        figure = Figure(100 * rate.value, "%", len(labels), 0, note)
        findings.add(f"{who}hit_at_{name}_percent", figure)
