"""Addresses of pattern memory, below ``/api/v1/``."""

from __future__ import annotations

from django.urls import path

from patterns.api import namespaces, patterns

_NAMESPACE = "namespaces/<slug:slug>"

urlpatterns = [
    path("namespaces", namespaces.Namespaces.as_view(), name="namespaces"),
    path(_NAMESPACE, namespaces.Namespace.as_view(), name="namespace"),
    path(f"{_NAMESPACE}/reindex", namespaces.NamespaceReindex.as_view(), name="namespace-reindex"),
    path(f"{_NAMESPACE}/stats", namespaces.NamespaceStats.as_view(), name="namespace-stats"),
    path("patterns", patterns.Patterns.as_view(), name="patterns"),
    path("patterns/search", patterns.PatternSearch.as_view(), name="pattern-search"),
    path("patterns/<int:pattern_id>", patterns.Pattern.as_view(), name="pattern"),
]
