"""Addresses of the REST API of policies, of the metrics, and of the limited login."""

from __future__ import annotations

from django.urls import path

from ratelimit import api, login, metrics

urlpatterns = [
    path("admin/login/", login.login),
    path("metrics", metrics.page, name="metrics"),
    path("api/v1/limits", api.Limits.as_view(), name="limits"),
    path("api/v1/limits/<int:limit_id>", api.Limit.as_view(), name="limit"),
    path("api/v1/limits/<int:limit_id>/state", api.LimitState.as_view()),
    path("api/v1/limits/<int:limit_id>/test", api.LimitTest.as_view()),
    path("api/v1/limits/<int:limit_id>/reset", api.LimitReset.as_view()),
]
