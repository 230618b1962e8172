"""What is refused about policies, and why: the messages say what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from ansf_platform.field_errors import FieldError


class PolicyError(Exception):
    """A request about policies that cannot be done as asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(PolicyError):
    """No such policy exists for this tenant."""


class Refused(PolicyError):
    """The state of things does not allow it."""


class Invalid(PolicyError):
    """The policy is wrong; every mistake is named with its field."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        told = (f"{error.field}: {error.message}" for error in self.errors[:5])
        super().__init__("; ".join(told))
