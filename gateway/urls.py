"""Addresses of the REST API of the gateway."""

from __future__ import annotations

from django.urls import path

from gateway.api import caching, configuration, money

PREFIX = "api/v1/gateway"

urlpatterns = [
    *(path(f"{PREFIX}/{name}", view.as_view()) for name, view in configuration.COLLECTIONS.items()),
    *(
        path(f"{PREFIX}/{name}/<int:row_id>", view.as_view())
        for name, view in configuration.SINGLES.items()
    ),
    *(path(f"{PREFIX}/{name}", view.as_view()) for name, view in caching.ADDRESSES.items()),
    path(f"{PREFIX}/ledger", money.Ledger.as_view()),
    path(f"{PREFIX}/ledger.csv", money.LedgerCsv.as_view(), name="gateway-ledger-csv"),
    path(f"{PREFIX}/costs", money.Costs.as_view()),
    path(f"{PREFIX}/rollups", money.Rollups.as_view()),
    path(f"{PREFIX}/routes", money.Routes.as_view()),
    path(f"{PREFIX}/routes/<int:route_id>", money.Route.as_view()),
]
