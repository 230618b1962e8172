"""Set-based statements that run on PostgreSQL and on SQLite.

A statement is written once, with macros for what differs:

``@now``                    the database's clock
``@after(seconds)``         that many seconds later (no parentheses in it but a parameter's)
``@epoch(column)``          a timestamp as seconds since 1970
``@rows(name, a uuid, …)``  the JSON array bound to ``name`` as a table of those columns
``@each(column)``           the elements of a JSON array of texts, as a table with column ``value``
``@status(t)``              the status of rows that are found by id: without it a planner whose
                            statistics are a minute old may walk a partial index on the status
                            through the whole backlog instead
``@hex(column)``            a UUID as its 32 hexadecimal digits
``@lock(t)`` / ``@skip(t)`` lock the rows of ``t``, waiting or skipping locked ones
``@lead``                   a CTE that has a row only while the term bound to ``term`` leads
                            (``term`` None: always), and holds off a change of leader

SQLite needs no row locks: a writing transaction there is IMMEDIATE and therefore alone.
Identifiers travel as 32 hexadecimal digits, which both databases read as a UUID.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

P = ParamSpec("P")
T = TypeVar("T")
Row = dict[str, Any]

RETRIES = 3  # after a deadlock, a serialization failure or a busy SQLite
_TRANSIENT_STATES = frozenset({"40001", "40P01", "55P03"})

_POSTGRES = {
    "@now": "statement_timestamp()",
}
_SQLITE = {
    "@now": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
}


def postgres() -> bool:
    """Whether the default database is PostgreSQL."""
    return connection.vendor == "postgresql"


_LEAD = """lead AS (
    SELECT 1 AS ok FROM coordination_lease
    WHERE name = 'coordinator' AND term = %(term)s AND expires_at > @now {share})"""
_NO_LEAD = "lead AS (SELECT 1 AS ok)"


@cache
def _compile(template: str, vendor: str, led: bool) -> str:  # noqa: FBT001 - a cache key
    share = "FOR SHARE" if vendor == "postgresql" else ""
    return _expand(
        template.replace("@lead", _LEAD.format(share=share) if led else _NO_LEAD), vendor
    )


def _expand(template: str, vendor: str) -> str:
    on_postgres = vendor == "postgresql"
    text = re.sub(
        r"@rows\((\w+),([^)]*)\)", _rows_postgres if on_postgres else _rows_sqlite, template
    )
    if on_postgres:
        text = re.sub(
            r"@after\(((?:%\(\w+\)s|[^()])*)\)",
            r"(statement_timestamp() + make_interval(secs => \1))",
            text,
        )
        text = re.sub(r"@epoch\(([^()]*)\)", r"extract(epoch FROM \1)::float8", text)
        text = re.sub(r"@each\(([^()]*)\)", r"jsonb_array_elements_text(\1) AS each(value)", text)
        text = re.sub(r"@hex\(([^()]*)\)", r"replace(\1::text, '-', '')", text)
        text = re.sub(r"@status\((\w+)\)", r"(\1.status || '')", text)
        text = re.sub(r"@lock\((\w+)\)", r"FOR UPDATE OF \1", text)
        text = re.sub(r"@skip\((\w+)\)", r"FOR UPDATE OF \1 SKIP LOCKED", text)
    else:
        text = re.sub(
            r"@after\(((?:%\(\w+\)s|[^()])*)\)",
            r"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', (\1) || ' seconds')",
            text,
        )
        text = re.sub(r"@epoch\(([^()]*)\)", r"((julianday(\1) - 2440587.5) * 86400.0)", text)
        text = re.sub(r"@each\(([^()]*)\)", r"json_each(\1) AS each", text)
        text = re.sub(r"@hex\(([^()]*)\)", r"\1", text)
        text = re.sub(r"@status\((\w+)\)", r"\1.status", text)
        text = re.sub(r"@(lock|skip)\(\w+\)", "", text)
    for macro, replacement in (_POSTGRES if on_postgres else _SQLITE).items():
        text = text.replace(macro, replacement)
    return text


def _rows_postgres(match: re.Match[str]) -> str:
    name, columns = match.group(1), match.group(2)
    return f"jsonb_to_recordset(%({name})s::jsonb) AS {name}({columns.strip()})"


def _rows_sqlite(match: re.Match[str]) -> str:
    name, columns = match.group(1), match.group(2)
    picked = []
    for column in columns.split(","):
        label, kind = column.split()
        # ``->`` keeps JSON text as JSON; ``->>`` makes an SQL value of it.
        picked.append(f"value {'->' if kind == 'jsonb' else '->>'} '{label}' AS {label}")
    return f"(SELECT {', '.join(picked)} FROM json_each(%({name})s)) AS {name}"  # noqa: S608


def fetch(template: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    """Run one statement and return its rows as dictionaries, lists bound as JSON."""
    with connection.cursor() as cursor:
        cursor.execute(*_prepare(template, parameters or {}))
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def fetch_uncached(template: str) -> list[Row]:
    """Like :func:`fetch`, for a statement put together from numbers and own names each time."""
    with connection.cursor() as cursor:
        cursor.execute(_expand(template, connection.vendor), {})
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def change(template: str, parameters: Mapping[str, Any] | None = None) -> int:
    """Run one statement and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(*_prepare(template, parameters or {}))
        changed: int = cursor.rowcount
        if changed < 0:  # sqlite3 does not count for statements that begin with WITH
            cursor.execute("SELECT changes()")
            changed = cursor.fetchone()[0]
        return changed


def _prepare(template: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    bound = {name: _bind(value) for name, value in parameters.items()}
    led = parameters.get("term") is not None
    return _compile(template, connection.vendor, led), bound


def _bind(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return value.hex
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, default=_plain)
    return value


def _plain(value: Any) -> str:
    if isinstance(value, uuid.UUID):
        return value.hex
    message = f"{type(value).__name__} cannot be bound to a statement"
    raise TypeError(message)


def as_uuid(value: Any) -> uuid.UUID:
    """A UUID column's value: PostgreSQL gives UUIDs, SQLite their 32 digits."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def parse_json(value: Any) -> Any:
    """A JSON column's value: both databases give its text."""
    return json.loads(value) if isinstance(value, str | bytes) else value


def is_transient(error: Exception) -> bool:
    """Whether trying again is right: deadlock, serialization failure, lock timeout, busy."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state in _TRANSIENT_STATES or "database is locked" in str(error)


def retrying(function: Callable[P, T]) -> Callable[P, T]:
    """Repeat a whole transaction up to three times when the database asks for it.

    Inside a caller's transaction nothing is repeated: only the caller can start over.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(RETRIES):
            try:
                return function(*args, **kwargs)
            except OperationalError as error:
                if connection.in_atomic_block or not is_transient(error):
                    raise
                time.sleep(0.02 * (attempt + 1))
        return function(*args, **kwargs)

    return run


def atomic() -> AbstractContextManager[None]:
    """A transaction, or the caller's own where there is one (without a savepoint)."""
    if connection.in_atomic_block:
        return nullcontext()
    return transaction.atomic()


ONLY_ENDED = "ended"
"""What is told where tasks ended and nothing became ready: there is room, if that was short."""


def notify(channel: str = "ansf", told: str = "") -> None:
    """Wake the leader when this transaction commits (SQLite: it watches the file instead)."""
    if postgres():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [channel, told])


def one(rows: Sequence[Row]) -> Row | None:
    """The only row, or None."""
    return rows[0] if rows else None
