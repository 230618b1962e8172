"""The provider that a row describes."""

from __future__ import annotations

from functools import lru_cache

from gateway.models import Provider as ProviderRow
from gateway.providers.call import Provider
from gateway.providers.extractive import Extractive
from gateway.providers.openai_http import OpenAIHttp

EXTRACTIVE = Extractive()


def provider_of(row: ProviderRow) -> Provider:
    """What answers for the row; secrets are read when a call is made."""
    if row.kind == ProviderRow.Kind.EXTRACTIVE:
        return EXTRACTIVE
    return _http(row.name, row.base_url, row.key_env)


@lru_cache(maxsize=256)
def _http(name: str, base_url: str, key_env: str) -> OpenAIHttp:
    return OpenAIHttp(name, base_url, key_env)
