"""L1: the same request again, to the letter."""

from __future__ import annotations

from gateway.cache.encoding import digest
from gateway.request import Request


def exact_key(scope_key: str, request: Request) -> str:
    """SHA-256 of what is asked within a scope; all else that shapes the answer is the scope."""
    return digest((scope_key, request.temperature, request.question))
