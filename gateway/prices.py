"""Prices from a JSON table, as LiteLLM and others publish one: read, compared, written.

The table is an object of models by name; of each, the fields below are read and all others
ignored. Prices are dollars for one token there; they become nano-dollars for a million exactly
(in decimals, never in floats), and a price that is finer than that is refused, not rounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from pathlib import Path
from typing import Any

from gateway.models import LanguageModel

MOST_BYTES = 50_000_000
MOST_ENTRIES = 100_000
LONGEST_NAME = 200
DEAREST = 10
"""Dollars for one token."""
PLACES = 15
"""Decimal places of a nano-dollar for a million tokens, in dollars for one."""
EXACT = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact])
MOST_TOKENS = 2**31 - 1
CHAT = "chat"


class BadTable(ValueError):
    """A file is no price table; the message says why."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as the table tells it; None: the table does not say."""

    input_price: int
    """Nano-dollars for a million tokens, as the others."""
    output_price: int
    cached_price: int | None = None
    context_window: int | None = None
    max_output: int | None = None
    supports_tools: bool | None = None
    supports_json: bool | None = None
    supports_streaming: bool | None = None

    def columns(self) -> dict[str, Any]:
        """What the table says."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Table:
    """What could be read of a file."""

    models: Mapping[str, Listed]
    """By name; also by ``provider/name`` where the table gives a provider."""
    read: int
    others: int
    """Entries that are no chat models: embeddings, images, sound."""
    bad: tuple[tuple[str, str], ...]
    """Names of entries that cannot be used, and why."""

    def find(self, row: LanguageModel) -> Listed | None:
        """The entry of a model: by its provider and upstream name, or by the latter alone."""
        return self.models.get(f"{row.provider.name}/{row.upstream}") or self.models.get(
            row.upstream
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """A model whose row and entry differ."""

    row: LanguageModel
    changes: Mapping[str, tuple[Any, Any]]
    """Old and new value by column."""


def read_table(path: Path) -> Table:
    """The table in a file. Raises BadTable."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadTable(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > MOST_BYTES:
        raise BadTable(f"{path} is larger than {MOST_BYTES} bytes: it is no price table")
    try:
        value = json.loads(raw, parse_float=Decimal)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise BadTable(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict) or len(value) > MOST_ENTRIES:
        raise BadTable(f"{path} is no object of at most {MOST_ENTRIES} models by name")
    return _table(value)


def _table(value: Mapping[str, Any]) -> Table:
    models: dict[str, Listed] = {}
    bad: list[tuple[str, str]] = []
    others = 0
    for name, entry in value.items():
        if isinstance(entry, dict) and entry.get("mode", CHAT) != CHAT:
            others += 1
            continue
        try:
            listed = _listed(name, entry)
        except ValueError as error:
            bad.append((name[:LONGEST_NAME], str(error)))
            continue
        models[name] = listed
        provider = entry.get("litellm_provider")
        if isinstance(provider, str):
            models.setdefault(f"{provider}/{name.rpartition('/')[2]}", listed)
    return Table(models, len(value), others, tuple(bad))


def _listed(name: str, entry: Any) -> Listed:
    if len(name) > LONGEST_NAME:
        raise ValueError(f"its name is longer than {LONGEST_NAME} characters")
    if not isinstance(entry, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - one kind of refusal
    cached = entry.get("cache_read_input_token_cost")
    return Listed(
        _price(entry, "input_cost_per_token"),
        _price(entry, "output_cost_per_token"),
        None if cached is None else _price(entry, "cache_read_input_token_cost"),
        _tokens(entry, "max_input_tokens"),
        _tokens(entry, "max_output_tokens"),
        _flag(entry, "supports_function_calling"),
        _flag(entry, "supports_response_schema"),
        _flag(entry, "supports_native_streaming"),
    )


def _price(entry: Mapping[str, Any], name: str) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"{name} is missing or no number")  # noqa: TRY004 - one kind of refusal
    if not 0 <= value <= DEAREST:
        raise ValueError(f"{name} is not from 0 to {DEAREST} dollars")
    try:
        nano = EXACT.scaleb(Decimal(value), PLACES)
    except Inexact:
        nano = Decimal("NaN")
    if nano != nano.to_integral_value():
        raise ValueError(f"{name} is finer than a nano-dollar for a million tokens")
    return int(nano)


def _tokens(entry: Mapping[str, Any], name: str) -> int | None:
    value = entry.get(name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | Decimal)
        or not (1 <= value <= MOST_TOKENS and value == int(value))
    ):
        raise ValueError(f"{name} is not from 1 to {MOST_TOKENS}")
    return int(value)


def _flag(entry: Mapping[str, Any], name: str) -> bool | None:
    value = entry.get(name)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false")
    return value


def differences(rows: Iterable[LanguageModel], table: Table) -> list[Difference]:
    """What the table says otherwise than the rows, models by name."""
    found = []
    for row in rows:
        listed = table.find(row)
        columns = listed.columns() if listed else {}
        changes = {
            name: (getattr(row, name), value)
            for name, value in columns.items()
            if getattr(row, name) != value
        }
        if changes:
            found.append(Difference(row, changes))
    return sorted(found, key=lambda difference: difference.row.name)
