"""``cache``: judge the response cache on labelled questions; look at it, warm it, clear it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from django.core.management.base import CommandParser
from numpy.typing import NDArray

from ansf_platform.terminal import Usage
from gateway.cache.invalidation import Unknown
from gateway.cache.policy import CachePolicy
from gateway.cache.replaying import replay
from gateway.cache.scope import Unscoped
from gateway.embedder import MINILM, ModelMissing
from gateway.errors import GatewayError
from gateway.labelled import Labelled, compared
from gateway.management.cache_upkeep import Upkeep
from gateway.samples import BadSample, read_pairs, read_prompts
from gateway.similarity import evaluation, fitting
from gateway.similarity.fitting import MINED_WEIGHT, STREAM_WEIGHT
from gateway.similarity.score import MODEL
from gateway.strictness import DEFAULT, THRESHOLDS, Strictness

_EMBEDDED_AT_ONCE = 256
MOST_STREAMED = 5_000
"""Prompts of a stream that negatives are mined from."""


class Command(Upkeep):
    """Evaluate, replay, fit; stats, explain, invalidate, warm, report, shadow."""

    help = "Judge the response cache on labelled questions; look at it, warm it, clear it."
    refusals: ClassVar[tuple[type[Exception], ...]] = (
        BadSample, ModelMissing, GatewayError, Unknown, Unscoped,
    )  # fmt: skip

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        self.declare_upkeep(verb)
        evaluated = verb("evaluate", self.evaluate, "Hits at a fixed rate of wrong answers.")
        evaluated.add_argument("file", type=Path, help='Lines {"a", "b", "same_answer"}.')
        evaluated.add_argument(
            "--cross-validate", action="store_true", help="Score each pair by a model without it."
        )
        replayed = verb("replay", self.replay, "Ask a cache that keeps every answer.")
        replayed.add_argument("file", type=Path, help='Lines {"prompt", "group"}.')
        replayed.add_argument("--strictness", choices=list(Strictness), default=DEFAULT)
        fitted = verb("fit", self.fit, "Fit the model's coefficients; print them as JSON.")
        fitted.add_argument("file", type=Path, help='Lines {"a", "b", "same_answer"}.')
        fitted.add_argument("--stream", type=Path, help='Lines {"prompt", "group"} of negatives.')
        fitted.add_argument("--label", default="local", help="Version of the fitted model.")

    def evaluate(self, options: dict[str, Any]) -> None:
        """Print the hit rates where 1 % and 5 % of the pairs that must not hit do."""
        pairs = self._labelled(options["file"])
        labels = pairs.labels
        scores = pairs.cross_validated() if options["cross_validate"] else pairs.scores()
        try:
            rates = {name: evaluation.hit_rate(scores, labels, wrong) for name, wrong in RATES}
        except ValueError as error:
            raise Usage(f"{options['file']}: {error}") from error
        report: dict[str, Any] = {
            "pairs": len(labels),
            "should_hit": int(labels.sum()),
            "must_not_hit": int((~labels).sum()),
            "model": "cross-validated" if options["cross_validate"] else MODEL.version,
        }
        for name, rate in rates.items():
            report |= {
                name: rate.value,
                f"{name}_interval": [rate.low, rate.high],
                f"{name}_threshold": rate.threshold,
            }
        report["shipped"] = _at(scores, labels, THRESHOLDS[DEFAULT])
        self._print(report)

    def replay(self, options: dict[str, Any]) -> None:
        """Print how many of a stream's requests would have hit, and how many wrongly."""
        prompts = read_prompts(options["file"])
        strictness = Strictness(options["strictness"])
        vectors = self._embed([prompt.prompt for prompt in prompts])
        done = replay(
            [prompt.prompt for prompt in prompts],
            vectors,
            [prompt.group for prompt in prompts],
            CachePolicy(strictness=strictness),
        )
        self._print(
            asdict(done)
            | {
                "hit_rate": done.hits / done.requests,
                "wrong_rate": done.wrong / done.requests,
                "strictness": strictness.value,
                "threshold": THRESHOLDS[strictness],
            }
        )

    def fit(self, options: dict[str, Any]) -> None:
        """Print the coefficients that fit labelled pairs and mined negatives."""
        pairs = self._labelled(options["file"])
        negatives = {MINED_WEIGHT: pairs.mined}
        if options["stream"]:
            prompts = read_prompts(options["stream"])[:MOST_STREAMED]
            texts = [prompt.prompt for prompt in prompts]
            groups = [prompt.group for prompt in prompts]
            negatives[STREAM_WEIGHT] = fitting.mine(texts, self._embed(texts), groups)
        model = fitting.fit(pairs.samples, negatives, options["label"])
        self.screen.line(json.dumps(model.as_dict(), indent=2))

    def _labelled(self, path: Path) -> Labelled:
        return compared(read_pairs(path), self._embed)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        parts = []
        with self.screen.progress("embedding", len(texts)) as advance:
            for start in range(0, len(texts), _EMBEDDED_AT_ONCE):
                chosen = texts[start : start + _EMBEDDED_AT_ONCE]
                parts.append(MINILM.embed(chosen))
                advance(len(chosen))
        return np.concatenate(parts)

    def _print(self, report: dict[str, Any]) -> None:
        if self.screen.as_json:
            self.screen.json(report)
        else:
            self.screen.fields(report)


RATES = (("hit_at_1pct", 0.01), ("hit_at_5pct", 0.05))


def _at(scores: NDArray[np.float64], labels: NDArray[np.bool_], threshold: float) -> dict[str, Any]:
    served = scores >= threshold
    return {
        "strictness": DEFAULT.value,
        "threshold": threshold,
        "hits": float(served[labels].mean()),
        "wrong": float(served[~labels].mean()),
    }
