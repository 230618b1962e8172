"""``/v1/embeddings``: sentences as vectors, by the model that is here."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from gateway import ledger, savings
from gateway.budgets import Payer
from gateway.embedder import DIMENSION, MINILM, MOST_PIECES, ModelMissing, Vectors
from gateway.errors import LimitReached, ModelUnknown, NoModel, Refused
from gateway.openai_api.reading import AUTO
from gateway.pipe import Terms
from gateway.tokens import estimate, text_of
from ratelimit import policies, pool
from ratelimit.buckets import Bucket
from ratelimit.subject import Subject

MOST_TEXTS = 256
LONGEST_TEXT = 32_000
"""Characters; the model reads the first few hundred words."""
NAMES = frozenset({MINILM.name, AUTO})
_FORMATS = ("float", "base64")
VOCABULARY = "cl100k_base"
"""Of tokens that are sent instead of a text: what clients of that API count with."""
MOST_TOKENS = 8_192
"""Of one such list."""
AT_ONCE = 2
"""Requests that vectors are made for: other calls need the threads as well."""
MOST_WAITING = 32


class Turns:
    """So many at once; the others wait, and not too many of them. For one event loop."""

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn. Raises NoModel when many wait already."""
        if self._waiting >= self._most_waiting:
            raise NoModel("too many embeddings are being made: try again", retry_after=1.0)
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


def embeddings(body: Any, tenant: str, terms: Terms) -> dict[str, Any]:
    """The answer to a body. Raises Refused, ModelUnknown, LimitReached and NoModel."""
    texts, form = _asked(body)
    tokens = sum(map(estimate, texts))
    buckets = policies.applying(
        "gateway", Subject(tenant=tenant, token=terms.token, model=MINILM.name)
    )
    _charge([bucket for bucket in buckets if bucket.unit == "requests"], 1)
    _charge([bucket for bucket in buckets if bucket.unit == "tokens"], tokens)
    try:
        vectors = MINILM.embed(texts)
    except ModelMissing as error:
        raise NoModel(str(error)) from error
    _record(tenant, terms, tokens)
    return {
        "object": "list",
        "model": MINILM.name,
        "data": [
            {"object": "embedding", "index": number, "embedding": _written(vector, form)}
            for number, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "ansf": {"truncated": [n for n, text in enumerate(texts) if estimate(text) > MOST_PIECES]},
    }


def _asked(body: Any) -> tuple[list[str], str]:
    if not isinstance(body, dict):
        raise Refused("the body is not a JSON object")
    model = body.get("model")
    if not isinstance(model, str) or model not in NAMES:
        raise ModelUnknown(
            f"there is no embedding model {str(model)[:100]!r}: ask for {MINILM.name}",
            param="model",
        )
    form = body.get("encoding_format") or "float"
    if form not in _FORMATS:
        raise Refused("encoding_format must be float or base64", param="encoding_format")
    if body.get("dimensions", DIMENSION) not in (None, DIMENSION):
        raise Refused(f"dimensions can only be {DIMENSION}", param="dimensions")
    return _texts(body.get("input")), form


def _texts(given: Any) -> list[str]:
    one = isinstance(given, str) or (isinstance(given, list) and _is_tokens(given))
    several = [given] if one else given
    if not isinstance(several, list) or not 1 <= len(several) <= MOST_TEXTS:
        raise Refused(f"input must be a string, or 1 to {MOST_TEXTS} of them", param="input")
    return [_text(each) for each in several]


def _text(value: Any) -> str:
    if isinstance(value, list) and _is_tokens(value):
        if len(value) > MOST_TOKENS:
            raise Refused(f"input has more than {MOST_TOKENS} tokens", param="input")
        try:
            value = text_of(value, VOCABULARY)
        except KeyError as error:
            raise Refused(
                f"input has tokens that {VOCABULARY} does not know: send text", param="input"
            ) from error
    if not isinstance(value, str) or not value:
        raise Refused("input must be strings or tokens, none of them empty", param="input")
    if len(value) > LONGEST_TEXT:
        raise Refused(f"a string of input is longer than {LONGEST_TEXT} characters", param="input")
    return value


def _is_tokens(value: list[Any]) -> bool:
    return bool(value) and all(type(each) is int for each in value)


def _charge(buckets: list[Bucket], units: int) -> None:
    if not buckets:
        return
    decision = pool.limiter().acquire(buckets, units)
    if not decision.allowed:
        names = ", ".join(decision.violated)
        raise LimitReached(
            f"{names} is reached", violated=decision.violated, retry_after=decision.retry_after
        )


def _record(tenant: str, terms: Terms, tokens: int) -> None:
    free = savings.Amounts(0, 0, 0, 0, 0)
    ledger.record(
        ledger.Call(
            request_id=terms.request_id,
            payer=Payer(tenant_id=int(tenant), model=MINILM.name),
            usage=savings.Usage(tokens, 0),
            amounts=free,
            provider="local",
        )
    )


def _written(vector: Vectors, form: str) -> Any:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(value) for value in np.asarray(vector, dtype=np.float64)]
