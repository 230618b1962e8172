"""Addresses of tokens and of the audit trail, below ``/api/v1/``."""

from __future__ import annotations

from django.urls import path

from ansf_platform.accounts import api

urlpatterns = [
    path("tokens", api.Tokens.as_view(), name="tokens"),
    path("tokens/<int:token_id>", api.Token.as_view(), name="token"),
    path("tokens/<int:token_id>/rotate", api.TokenRotation.as_view(), name="token-rotation"),
    path("audit", api.Audit.as_view(), name="audit"),
]
