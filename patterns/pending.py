"""Which namespaces the open transaction has written to: their new rows are nobody else's yet."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from patterns.models import Namespace


@dataclass(frozen=True, slots=True)
class _Mark:
    """A callback that does nothing: that it is still due says that nothing is committed."""

    uid: UUID

    def __call__(self) -> None:
        return


def mark(namespace: Namespace) -> None:
    """Say that this transaction changes patterns of the namespace."""
    transaction.on_commit(_Mark(namespace.uid))


def is_pending(namespace: Namespace) -> bool:
    """Whether the open transaction, if there is one, has changed patterns of the namespace."""
    # A commit and a rollback both empty the list, so a mark cannot outlive what it tells of.
    return connection.in_atomic_block and any(
        isinstance(entry[1], _Mark) and entry[1].uid == namespace.uid
        for entry in connection.run_on_commit
    )
