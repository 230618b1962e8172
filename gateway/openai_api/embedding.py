"""``/v1/embeddings``: sentences as vectors, by the model that is here."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from gateway import ledger, savings
from gateway.budgets import Payer
from gateway.embedder import DIMENSION, MINILM, ModelMissing, Vectors
from gateway.errors import LimitReached, ModelUnknown, NoModel, Refused
from gateway.openai_api.reading import AUTO
from gateway.pipe import Terms
from gateway.tokens import estimate
from ratelimit import policies, pool
from ratelimit.buckets import Bucket
from ratelimit.subject import Subject

MOST_TEXTS = 256
LONGEST_TEXT = 32_000
"""Characters; the model reads the first few hundred words."""
NAMES = frozenset({MINILM.name, AUTO})
_FORMATS = ("float", "base64")


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
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise Refused("input must be a string, or strings, none of them empty", param="input")
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise Refused(f"input must have 1 to {MOST_TEXTS} strings", param="input")
    if any(len(text) > LONGEST_TEXT for text in texts):
        raise Refused(f"a string of input is longer than {LONGEST_TEXT} characters", param="input")
    return texts, form


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
