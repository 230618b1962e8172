"""What coordination refuses, and why: the messages say what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ratelimit.buckets import Bucket
from ratelimit.decision import Decision


@dataclass(frozen=True, slots=True)
class ItemError:
    """What is wrong with one field (a JSON pointer) of one item (None: the request itself)."""

    index: int | None
    field: str
    message: str

    def __str__(self) -> str:
        where = self.field if self.index is None else f"item {self.index}{self.field}"
        return f"{where}: {self.message}" if where else self.message


class CoordinationError(Exception):
    """A request that cannot be done as asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(CoordinationError):
    """Nothing of that name or id exists for this tenant."""


class Refused(CoordinationError):
    """The state of things does not allow it."""

    def __init__(self, detail: str, existing: object = None) -> None:
        super().__init__(detail)
        self.existing = existing


class Limited(CoordinationError):
    """A policy refuses it for now, or so much at once for ever."""

    def __init__(self, detail: str, buckets: tuple[Bucket, ...], decision: Decision) -> None:
        super().__init__(detail)
        self.buckets = buckets
        self.decision = decision


class Invalid(CoordinationError):
    """The request is wrong; every mistake is named."""

    def __init__(self, errors: Iterable[ItemError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors[:5]))
