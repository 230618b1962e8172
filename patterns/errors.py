"""What is refused about patterns, and why: the messages say what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from ansf_platform.field_errors import FieldError

SHOWN = 5


class PatternError(Exception):
    """A request about patterns that cannot be done as asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(PatternError):
    """No such namespace or pattern exists for this tenant."""


class Refused(PatternError):
    """The state of things does not allow it: the quota is used up, a name is taken."""


class Unreachable(PatternError):
    """Another host that was asked did not answer; asking again may help."""


class Invalid(PatternError):
    """What was given is wrong; every mistake is named with its field."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        told = [f"{error.field}: {error.message}".strip(": ") for error in self.errors[:SHOWN]]
        more = len(self.errors) - len(told)
        super().__init__("; ".join(told) + (f"; and {more} more" if more > 0 else ""))


def wrong(field: str, message: str, index: int | None = None) -> Invalid:
    """One mistake."""
    return Invalid([FieldError(field, message, index)])
