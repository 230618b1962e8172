"""Calls to write into the ledger, on PostgreSQL; `surfaces` does the same on SQLite."""

from __future__ import annotations

import itertools

import pytest

from gateway import catalogue, ledger, spending
from gateway.budgets import Payer
from gateway.ledger import Call
from gateway.models import Budget
from gateway.pricing import Prices
from gateway.savings import Usage, amounts
from tests.databases import _postgres_config, on_postgres

__all__ = ["_postgres_config"]

SMALL, LARGE = Prices(150_000_000, 600_000_000), Prices(10_000_000_000, 30_000_000_000)
"""0.15 and 0.60 $, 10 and 30 $ for a million tokens."""


@pytest.fixture(params=[pytest.param("postgresql", marks=pytest.mark.postgres)])
def db(request, django_db_blocker):
    """An empty, migrated database; nothing wraps a test in a transaction."""
    yield from on_postgres(request, django_db_blocker)


@pytest.fixture(autouse=True)
def fresh_view():
    """No test sees the rows of another."""
    catalogue.WATCHER.reset()
    spending.forget()
    yield
    catalogue.WATCHER.reset()
    spending.forget()


@pytest.fixture
def budget():
    """Write a budget of a tenant."""

    def write(tenant, name="month", **columns):
        row = Budget.objects.create(tenant=tenant, name=name, **columns)
        catalogue.forget()
        return row

    return write


@pytest.fixture
def pay(tenant):
    """Write a call of the small model with 1 000 tokens in and 100 out, unless told otherwise."""
    numbers = itertools.count(1)

    def write(request_id="", *, usage=None, hit=False, prices=SMALL, owner=None, at=None, **names):
        payer = {key: names.pop(key) for key in ("swarm", "agent", "definition") if key in names}
        call = Call(
            request_id=request_id or f"request-{next(numbers)}",
            payer=Payer(tenant_id=(owner or tenant).pk, model=names.pop("model", "small"), **payer),
            usage=usage or Usage(1_000, 100),
            amounts=amounts(usage or Usage(1_000, 100), prices, LARGE, hit=hit),
            hit_level="exact" if hit else "none",
            **({"at": at} if at else {}),
            **names,
        )
        return ledger.record(call)

    return write


CALL = SMALL.cost(1_000, 100)
