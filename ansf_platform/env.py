"""Typed readers of the environment: the only place that touches ``os.environ`` for settings."""

from __future__ import annotations

import os
from pathlib import Path

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class EnvironmentInvalid(ValueError):
    """A variable is set to something that cannot be read; the message says what is accepted."""


def text(name: str, default: str = "") -> str:
    """The variable, or the content of the file that ``NAME_FILE`` points to, or the default."""
    if name in os.environ:
        return os.environ[name]
    path = os.environ.get(f"{name}_FILE")
    return Path(path).read_text(encoding="utf-8").strip() if path else default


def boolean(name: str, *, default: bool) -> bool:
    """Read 1/true/yes/on or 0/false/no/off."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    if raw.lower() in TRUE:
        return True
    if raw.lower() in FALSE:
        return False
    message = f"{name}={raw!r} is not a boolean: use 1 or 0"
    raise EnvironmentInvalid(message)


def integer(name: str, default: int) -> int:
    """Read a whole number."""
    raw = os.environ.get(name)
    if raw is None or raw == "":
        return default
    try:
        return int(raw)
    except ValueError as error:
        message = f"{name}={raw!r} is not a whole number"
        raise EnvironmentInvalid(message) from error


def number(name: str, default: float) -> float:
    """Read a decimal number."""
    raw = os.environ.get(name)
    if raw is None or raw == "":
        return default
    try:
        return float(raw)
    except ValueError as error:
        message = f"{name}={raw!r} is not a number"
        raise EnvironmentInvalid(message) from error


def names(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Read a comma-separated list of names."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    return tuple(part.strip() for part in raw.split(",") if part.strip())
