"""What the command of patterns shares with none above it: the tenant, arguments, files."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar

from django.core.management.base import CommandError

from ansf_platform import terminal
from ansf_platform.accounts import audit
from ansf_platform.accounts.models import DEFAULT_TENANT, Tenant
from ansf_platform.csv_column import BadColumn
from ansf_platform.terminal import Unavailable, Usage
from patterns import namespaces
from patterns.errors import NotFound, PatternError, Unreachable
from patterns.models import Namespace

MAX_ARGUMENT_BYTES = 32 * 1024 * 1024


class Command(terminal.Command):
    """A command that speaks for one tenant, given by ``--tenant``."""

    refusals: ClassVar[tuple[type[Exception], ...]] = (PatternError, BadColumn)

    def add_common(self, parser: argparse.ArgumentParser, *, verb: bool) -> None:
        super().add_common(parser, verb=verb)
        parser.add_argument(
            "--tenant",
            default=argparse.SUPPRESS if verb else DEFAULT_TENANT,
            help="Slug of the tenant (default: default).",
        )

    def explain(self, error: BaseException) -> CommandError:
        if isinstance(error, Unreachable):
            return Unavailable(error)
        return super().explain(error)

    def tenant(self, options: dict[str, Any]) -> Tenant:
        """The tenant that was asked for. Raises NotFound."""
        found = Tenant.objects.filter(slug=options["tenant"]).first()
        if found is None:
            raise NotFound(f"there is no tenant {options['tenant'][:60]!r}")
        return found

    def namespace(self, options: dict[str, Any]) -> Namespace:
        """The namespace that was asked for. Raises NotFound."""
        return namespaces.named(self.tenant(options), options["namespace"])

    @staticmethod
    def record(action: str, namespace: Namespace, **detail: Any) -> None:
        """Write the audit entry of a change."""
        audit.record(
            action, "namespace", namespace.slug, actor="command", tenant=namespace.tenant, **detail
        )


def json_argument(text: str) -> Any:
    """Parse JSON, or a file of it behind @, or - for stdin."""
    try:
        if text == "-":
            text = sys.stdin.read(MAX_ARGUMENT_BYTES)
        elif text.startswith("@"):
            with Path(text[1:]).open(encoding="utf-8") as file:
                text = file.read(MAX_ARGUMENT_BYTES)
        return json.loads(text, parse_constant=_refuse)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text[1:]}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        message = f"not JSON ({error}): quote it for the shell, or use @FILE"
        raise argparse.ArgumentTypeError(message) from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def numbers(text: str) -> list[float]:
    """Parse a list of numbers: JSON, or @FILE, or - for stdin."""
    value = json_argument(text)
    if not isinstance(value, list) or not all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in value
    ):
        raise argparse.ArgumentTypeError("a list of numbers is needed, such as [1, 2.5]")
    return [float(one) for one in value]


def objects(text: str) -> dict[str, Any]:
    """Parse a JSON object, or @FILE."""
    value = json_argument(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('an object is needed, such as {"sensor": "a"}')
    return value


def whole(text: str) -> int:
    """Parse a whole number from 1 to a billion."""
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= 10**9:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")


def share(text: str) -> float:
    """Parse a number from -1 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from -1 to 1")
    return value


@contextmanager
def lines_of(path: str) -> Iterator[IO[bytes]]:
    """The lines of a file, or of stdin for ``-``. Raises Usage."""
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise Usage(f"cannot read {path}: {error.strerror or error}") from error
