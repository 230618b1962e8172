"""Providers, models, policies, budgets, the ledger, costs and decisions over REST."""

from __future__ import annotations
