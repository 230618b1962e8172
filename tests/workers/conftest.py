"""Executing without a broker: a node, and a call that takes one task through an envelope.

As in `tests/coordination`, what touches rows runs on SQLite and, marked `postgres`, on PostgreSQL.
"""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest

from coordination import definitions
from coordination.models import Attempt
from patterns import memory, namespaces
from patterns.memory import NewPattern
from tests.coordination.steps import dispatch, get, ready
from tests.databases import _postgres_config, _pristine_sqlite, db
from tests.workers.streams import wave
from workers import executor, limits
from workers.node import register

__all__ = ["_postgres_config", "_pristine_sqlite", "db"]


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """What a worker process remembers for its life, forgotten between tests."""
    monkeypatch.setattr(executor, "_programs", {})
    monkeypatch.setattr(limits._Board, "memory", None)
    # A busy machine must not decide how many members an envelope gets to.
    monkeypatch.setattr(executor, "BUDGET_SECONDS", 60.0)


@pytest.fixture
def node(db, tmp_path):
    return register("cpu", 2, [], tmp_path)


@pytest.fixture
def bind(tenant, swarms):
    """Define a task for a handler; its name is the handler's."""

    def define(handler, **columns):
        defaults = {"handler": handler.name, "default_swarm": swarms["backend"]}
        return definitions.define(tenant, handler.name, **{**defaults, **columns})

    return define


@pytest.fixture
def envelope(node):
    """Run tasks in one envelope as a worker would."""

    def run(*ids):
        fences = dispatch(*ids)
        definition = get(ids[0]).definition_id
        executor.run_envelope(node, uuid4(), definition, list(fences.items()))

    return run


@pytest.fixture
def execute(bind, envelope):
    """Bind a handler, submit one task, run it once: its row and its last attempt."""

    def run(handler, payload=None, **columns):
        bind(handler, **columns)
        task = ready(handler.name, payload)
        envelope(task)
        return get(task), Attempt.objects.filter(task_id=task).order_by("fence").last()

    return run


@pytest.fixture
def known(tenant, settings, tmp_path):
    """A namespace that knows 40 windows of waves."""
    settings.STATE_DIR = tmp_path / "state"
    columns = {"slug": "waves", "encoder": "minirocket-384", "dedup_threshold": None}
    namespace = namespaces.create(tenant, columns)
    values = np.array([one["value"] for one in wave(32 * 40, seed=2)]).reshape(40, 32)
    memory.add_many(namespace, [NewPattern(series=v, metadata={"n": 1}) for v in values])
    return namespace
