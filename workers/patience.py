"""This process's database connection: waited for while it is away, and kept clean.

A result is not lost because PostgreSQL restarts, nor because a handler left a transaction open
that recording it would silently join.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from workers.limits import paused

logger = logging.getLogger(__name__)
T = TypeVar("T")

CLAIM_PATIENCE_SECONDS = 60.0  # then the dispatcher has taken the tasks back
FINISH_PATIENCE_SECONDS = 3600.0
LONGEST_PAUSE_SECONDS = 2.0
AWAY = (OperationalError, InterfaceError, psycopg.Error)


def persist(action: Callable[[], T], patience: float) -> T:
    """Do it, again and again while the database is away, for `patience` seconds.

    Time limits stand still meanwhile. Inside a transaction of the caller nothing is repeated:
    only the caller can start over.
    """
    try:
        return action()
    except AWAY as error:
        if connection.in_atomic_block:
            raise
        _report(error)
    with paused():
        return _repeat(action, time.monotonic() + patience)


def _repeat(action: Callable[[], T], give_up: float) -> T:
    pause = 0.05
    while True:
        _drop_connection()
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        try:
            return action()
        except AWAY as error:
            if time.monotonic() > give_up:
                raise
            _report(error)


def _report(error: Exception) -> None:
    logger.warning("database: %s; trying again", str(error).strip())


def _drop_connection() -> None:
    try:
        connection.close()
    except DatabaseError:
        connection.connection = None


class TransactionLeftOpen(RuntimeError):
    """A handler returned inside a transaction: what it wrote there was rolled back."""


class NoTransactionLeftOpen:
    """Rolls back a transaction that was begun in its block and never ended.

    A handler may forget one, and an alarm may interrupt the very code that would end it.
    Raises :class:`TransactionLeftOpen` unless the block raises something itself.
    """

    __slots__ = ("_before", "_wrapper")

    def __init__(self) -> None:
        # The thread's own wrapper: asking the proxy each time would cost more than the question.
        self._wrapper = connections[DEFAULT_DB_ALIAS]
        self._before = self._wrapper.in_atomic_block

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._before or not _in_transaction(self._wrapper):
            return
        _abandon_transaction()
        if error is None:
            raise TransactionLeftOpen("a transaction was left open and has been rolled back")


def _in_transaction(wrapper: BaseDatabaseWrapper) -> bool:
    # A connection that was never opened says no to autocommit as well.
    return wrapper.in_atomic_block or (wrapper.connection is not None and not wrapper.autocommit)


def _abandon_transaction() -> None:
    logger.error("a handler left a transaction open: rolling back")
    connection.in_atomic_block = connection.closed_in_transaction = False
    connection.needs_rollback = False
    connection.savepoint_ids, connection.atomic_blocks = [], []
    connection.run_on_commit = []
    try:
        connection.connection.rollback()
        connection.set_autocommit(True)
    except Exception:  # noqa: BLE001 - it is in the middle of a statement, or broken
        _drop_connection()
