"""What providers, models, policies and budgets may say: JSON Schemas, and what they cannot tell.

REST, the admin and the commands all ask :func:`mistakes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.db import models

from ansf_platform import schemas
from ansf_platform.field_errors import FieldError
from ansf_platform.schemas import (
    Schema,
    array,
    boolean,
    choice,
    define,
    integer,
    nullable,
    number,
    record,
    slug,
    text,
)
from gateway.models import Budget, GatewayPolicy, LanguageModel, Period, Provider
from gateway.strictness import Strictness

MOST_MONEY = 10**18
"""Nano-dollars: a thousand million dollars."""

MOST_PRICE = 10**16
"""Nano-dollars for a million tokens: 10 dollars for one."""

MOST_TOKENS = 2**31 - 1
MOST_NAMES = 200
MODEL_NAME = text(100, shortest=1, pattern=r"^[\w][\w.:/@+-]*(?!\n)$")
MONEY = integer(0, MOST_MONEY, description="Nano-dollars (1e-9 $).")
PRICE = integer(0, MOST_PRICE, description="Nano-dollars for a million tokens.")
SHARE = number(0, 1)

PROVIDER: dict[str, Schema] = {
    "name": slug(50),
    "kind": choice(*Provider.Kind.values),
    "base_url": text(300, description="Up to and with /v1; empty for the local one."),
    "key_env": text(100, description="Name of the variable with the key, never the key."),
    "timeout_seconds": number(0.1, 3600),
    "retries": integer(0, 10),
    "slots": integer(1, 10_000),
    "enabled": boolean(),
}
MODEL: dict[str, Schema] = {
    "name": MODEL_NAME,
    "provider": slug(50),
    "upstream": text(200, shortest=1, description="What the provider calls it."),
    "input_price": PRICE,
    "output_price": PRICE,
    "cached_price": nullable(PRICE),
    "context_window": integer(1, MOST_TOKENS),
    "max_output": integer(1, MOST_TOKENS),
    "quality": SHARE,
    "tiers": array(slug(50), MOST_NAMES),
    "supports_tools": boolean(),
    "supports_json": boolean(),
    "supports_streaming": boolean(),
    "enabled": boolean(),
}
POLICY: dict[str, Schema] = {
    "name": slug(100),
    "cache": boolean(),
    "strictness": choice(*Strictness),
    "shadow": boolean(),
    "ttl_seconds": integer(1, 366 * 86_400),
    "byte_budget": integer(0, 2**40),
    "max_temperature": number(0, 2),
    "visibility": choice(*GatewayPolicy.Visibility.values),
    "compress": boolean(),
    "token_budget": nullable(integer(1, MOST_TOKENS)),
    "examples": nullable(integer(0, 1_000)),
    "allowed_models": array(MODEL_NAME, MOST_NAMES),
    "quality_floor": SHARE,
    "simple_budget": MONEY,
    "complex_budget": MONEY,
    "critical_budget": MONEY,
    "epsilon": SHARE,
    "fallbacks": integer(0, 10),
    "max_output": integer(1, MOST_TOKENS),
    "limits": array(slug(100), 20),
    "enabled": boolean(),
}
BUDGET: dict[str, Schema] = {
    "name": slug(100),
    "scope": choice(*Budget.Scope.values),
    "subject": text(100),
    "period": choice(*Period.values),
    "soft": nullable(MONEY),
    "hard": nullable(MONEY),
    "imposed": boolean(),
    "enabled": boolean(),
}

KEY_ENV = re.compile(r"[A-Z][A-Z0-9_]*_(KEY|TOKEN)")
OUR_SECRETS = ("ANSF_", "DJANGO_", "SECRET_")
"""Beginnings of variables that no provider is sent."""

Mistakes = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row that people write: its columns, and what a schema cannot tell of them."""

    name: str
    """As the audit calls it."""
    rows: type[models.Model]
    columns: Mapping[str, Schema]
    required: tuple[str, ...]
    check: Callable[[Mapping[str, Any]], Mistakes]
    owned: bool = True
    """Whether a tenant has such rows of its own, and may write them."""

    @property
    def schema(self) -> str:
        """Name of the schema of a whole row as people write it."""
        return f"Gateway{self.name.title()}Columns"

    def validate(self, columns: Mapping[str, Any]) -> list[FieldError]:
        """Everything that is wrong with a whole row."""
        found = schemas.check(self.schema, dict(columns))
        if found:
            return found
        return [FieldError(f"/{name}", message) for name, message in self.check(columns)]


def _provider(columns: Mapping[str, Any]) -> Mistakes:
    url, key = columns["base_url"], columns["key_env"]
    if columns["kind"] == Provider.Kind.EXTRACTIVE:
        if url or key:
            yield ("base_url" if url else "key_env"), "the local provider has none: leave it empty"
        return
    if not _is_address(url):
        yield "base_url", "use http:// or https://, a host and a path such as /v1, nothing else"
    if key and (not KEY_ENV.fullmatch(key) or key.startswith(OUR_SECRETS)):
        yield (
            "key_env",
            "name a variable such as OPENAI_API_KEY: capitals, ending in _KEY or _TOKEN",
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        return False
    printable = url.isascii() and url.isprintable() and " " not in url
    return plain and printable and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _model(columns: Mapping[str, Any]) -> Mistakes:
    if columns["max_output"] > columns["context_window"]:
        yield "max_output", "it exceeds the context window: use at most as many tokens"


def _policy(columns: Mapping[str, Any]) -> Mistakes:
    budgets = [columns[f"{name}_budget"] for name in ("simple", "complex", "critical")]
    if budgets != sorted(budgets):
        yield "complex_budget", "let the budgets rise from simple over complex to critical calls"


def _budget(columns: Mapping[str, Any]) -> Mistakes:
    soft, hard = columns["soft"], columns["hard"]
    if soft is None and hard is None:
        yield "hard", "give a soft or a hard bound: without one it does nothing"
    if soft is not None and hard is not None and soft > hard:
        yield "soft", "it exceeds the hard bound: warn before the stop"
    if (columns["scope"] == Budget.Scope.TENANT) == bool(columns["subject"]):
        yield "subject", "name the swarm, agent, definition or model; leave it empty for the tenant"


PROVIDERS = Kind("provider", Provider, PROVIDER, ("name",), _provider, owned=False)
MODELS = Kind("model", LanguageModel, MODEL, ("name", "provider", "upstream"), _model, owned=False)
POLICIES = Kind("policy", GatewayPolicy, POLICY, ("name",), _policy)
BUDGETS = Kind("budget", Budget, BUDGET, ("name",), _budget)
KINDS = (PROVIDERS, MODELS, POLICIES, BUDGETS)

for _kind in KINDS:
    define(_kind.schema, record(dict(_kind.columns)))
