"""Waiting for the database: a result is not lost because PostgreSQL restarts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)
T = TypeVar("T")

CLAIM_PATIENCE_SECONDS = 60.0  # then the dispatcher has taken the tasks back
FINISH_PATIENCE_SECONDS = 3600.0
LONGEST_PAUSE_SECONDS = 2.0


def persist(action: Callable[[], T], patience: float) -> T:
    """Do it, again and again while the database is away, for `patience` seconds.

    Inside a transaction of the caller nothing is repeated: only the caller can start over.
    """
    give_up = time.monotonic() + patience
    pause = 0.05
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError, psycopg.Error) as error:
            if time.monotonic() > give_up or connection.in_atomic_block:
                raise
            logger.warning("database: %s; trying again", str(error).strip())
            _drop_connection()
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _drop_connection() -> None:
    try:
        connection.close()
    except DatabaseError:
        connection.connection = None
