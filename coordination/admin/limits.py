"""Limit sets: whom limited tasks are counted for."""

from __future__ import annotations

from django.contrib import admin

from ansf_platform.accounts.administration import ReadOnly, ScopedAdmin
from ansf_platform.keyset import KeysetAdmin
from coordination.models import LimitSet


@admin.register(LimitSet)
class LimitSetAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Written when a limited task is submitted by somebody for the first time."""

    kind = "limit-set"
    tenant_path = "swarm__tenant"
    list_display = ("id", "definition", "swarm", "user", "token")
    list_select_related = ("definition", "swarm")
    search_fields = ("=user", "=token")
