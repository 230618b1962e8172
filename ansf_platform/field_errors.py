"""What is wrong with one field of what came in, whoever says so: a view, a command, a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: a JSON pointer, and in a bulk the position of its item."""

    field: str
    message: str
    index: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The member of `errors`; `index` only where there is one."""
        told = {"field": self.field, "message": self.message}
        return told if self.index is None else {"index": self.index, **told}
