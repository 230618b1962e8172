"""Addresses of liveness, readiness and the REST API of health checks."""

from __future__ import annotations

from django.urls import path

from healthchecks import views
from healthchecks.api import checks, history

urlpatterns = [
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("api/v1/health-checks", checks.Checks.as_view(), name="health-checks"),
    path("api/v1/health-checks/<int:check_id>", checks.Check.as_view(), name="health-check"),
    path("api/v1/health-checks/<int:check_id>/run", checks.CheckRun.as_view()),
    path("api/v1/health-checks/<int:check_id>/readings", history.CheckReadings.as_view()),
    path("api/v1/health-checks/<int:check_id>/flips", history.CheckFlips.as_view()),
]
