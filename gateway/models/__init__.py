"""Rows of the gateway: what may be called and how, what was decided, what it cost."""

from __future__ import annotations

from gateway.models.accounting import (
    Budget,
    BudgetHold,
    BudgetPeriod,
    LedgerEntry,
    Period,
    Rollup,
)
from gateway.models.configuration import GatewayPolicy, LanguageModel, Provider, TaskClass
from gateway.models.routes import RouteRecord

__all__ = [
    "Budget",
    "BudgetHold",
    "BudgetPeriod",
    "GatewayPolicy",
    "LanguageModel",
    "LedgerEntry",
    "Period",
    "Provider",
    "Rollup",
    "RouteRecord",
    "TaskClass",
]
