"""What the commands of coordination share: the tenant, types of arguments, one-line refusals."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from django.core.management.base import CommandError
from django.db import transaction
from django.utils.dateparse import parse_datetime

from ansf_platform import terminal
from ansf_platform.accounts import audit
from ansf_platform.accounts.models import DEFAULT_TENANT, AuditEntry, Tenant
from ansf_platform.first_run.servers import beside_up
from ansf_platform.screen import encode
from ansf_platform.terminal import Usage
from coordination import submission
from coordination.errors import CoordinationError, Invalid, ItemError

ACTOR = "command"
MAX_INPUT_BYTES = 64 * 1024 * 1024  # a run of 10 000 tasks with large payloads
MISTAKES_SHOWN = 5
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Command(terminal.Command):
    """A command that speaks for one tenant, given by ``--tenant``."""

    refusals: ClassVar[tuple[type[Exception], ...]] = (CoordinationError,)

    def add_common(self, parser: argparse.ArgumentParser, *, verb: bool) -> None:
        super().add_common(parser, verb=verb)
        parser.add_argument(
            "--tenant",
            default=argparse.SUPPRESS if verb else DEFAULT_TENANT,
            help="Slug of the tenant (default: default).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with beside_up():  # what is submitted or looked at here is limited there
            super().handle(*args, **options)

    def explain(self, error: BaseException) -> CommandError:
        if isinstance(error, Invalid):  # one task was asked for: its number says nothing
            return Usage(
                "; ".join(f"{one.field}: {one.message}" for one in error.errors[:MISTAKES_SHOWN])
            )
        return super().explain(error)

    def tenant(self, options: dict[str, Any]) -> Tenant:
        """The tenant that was asked for. Raises NotFound."""
        return submission.resolve_tenant(options["tenant"])

    @contextmanager
    def audited(self, tenant: Tenant) -> Iterator[Callable[..., AuditEntry]]:
        """One transaction of a change and of the audit entries that tell of it."""
        with transaction.atomic():
            yield partial(audit.record, actor=ACTOR, tenant=tenant)


def json_value(value: str) -> Any:
    """Parse a JSON argument."""
    try:
        return json.loads(value)
    except ValueError as error:
        message = f"not JSON ({error}): quote it for the shell, or use -f FILE"
        raise argparse.ArgumentTypeError(message) from error


def identifier(value: str) -> UUID:
    """Parse the id of a task or run."""
    try:
        return UUID(value)
    except ValueError as error:
        message = f"{value!r} is not an id: ids look like 01890a5d-ac96-774b-bcce-b302099a8057"
        raise argparse.ArgumentTypeError(message) from error


def priority(value: str) -> int:
    """Parse a priority, 0 to 9."""
    if value.isdecimal() and len(value) == 1:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r} is not a priority: 0 to 9, 9 most urgent")


def positive(value: str) -> int:
    """Parse a whole number from 1 to 10 000."""
    if value.isdecimal() and 1 <= int(value) <= 10_000:  # noqa: PLR2004 - said in the message
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from 1 to 10000")


def serial(value: str) -> int:
    """Parse the number of a row."""
    if value.isdecimal() and 1 <= int(value) < 2**63:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r} is not the number of a row")


def duration(value: str) -> float:
    """Parse seconds, or a number with a unit: 500ms, 30s, 5m, 2h, 1d."""
    number = value.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        seconds = float(number) * UNITS[value[len(number) :] or "s"]
    except (ValueError, KeyError) as error:
        message = f"{value!r} is not a duration: 500ms, 30s, 5m, 2h or 1d"
        raise argparse.ArgumentTypeError(message) from error
    if not 0 <= seconds <= 366 * UNITS["d"]:
        raise argparse.ArgumentTypeError(f"{value!r} is out of range: 0 to 366 days")
    return seconds


def parsed_time(value: Any) -> datetime | None:
    """The moment of an ISO 8601 text with a time zone, else None."""
    try:
        parsed = parse_datetime(value)
    except (TypeError, ValueError):
        return None
    return parsed if parsed is not None and parsed.tzinfo is not None else None


def moment(value: str) -> datetime:
    """Parse a time in ISO 8601 with its zone, or a duration from now."""
    return parsed_time(value) or ago(-_from_now(value))


def past(value: str) -> datetime:
    """Parse a time in ISO 8601 with its zone, or how long ago it was."""
    return parsed_time(value) or ago(_from_now(value))


def _from_now(value: str) -> float:
    try:
        return duration(value)
    except argparse.ArgumentTypeError as error:
        message = (
            f"{value!r} is neither a time with zone (2030-01-31T12:00:00Z) nor a duration (5m)"
        )
        raise argparse.ArgumentTypeError(message) from error


def ago(seconds: float) -> datetime:
    """The moment `seconds` before now."""
    return datetime.now(UTC) - timedelta(seconds=seconds)


def read_text(path: str, limit: int = MAX_INPUT_BYTES) -> str:
    """The text of a file, or of stdin for ``-``. Raises Usage."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise Usage(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > limit:
        raise Usage(f"{path} is larger than {limit:,} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Usage(f"{path} is not UTF-8 text (byte {error.start})") from error


def read_json(path: str) -> Any:
    """The JSON of a file or of stdin. Raises Usage."""
    text = read_text(path)
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():  # escapes of half a character, which no database takes
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Usage(f"{path} is not JSON: {error}") from error
    return value


def pretty(value: Any) -> str:
    """A payload or result as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=encode)


def shorten(text: str, width: int = 60) -> str:
    """The first line of `text`, at most `width` characters."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first if len(first) <= width else first[: width - 1] + "…"


def not_an_object() -> ItemError:
    """That JSON is something else than an object."""
    return ItemError(None, "", "must be a JSON object")


def in_file(path: str, error: Invalid, items: str = "") -> Usage:
    """What is wrong in a file, on one line: the first few mistakes and how many more.

    `items` is where the file lists what the errors number, such as ``/nodes``.
    """
    shown = [f"{_place(one, items)}: {one.message}" for one in error.errors[:MISTAKES_SHOWN]]
    more = len(error.errors) - len(shown)
    rest = f"; and {more} more" if more > 0 else ""
    return Usage(f"{path}: {'; '.join(shown)}{rest}")


def _place(error: ItemError, items: str) -> str:
    if error.index is None or not items or error.field.startswith(items):
        return error.field
    return f"{items}/{error.index}{error.field}"
