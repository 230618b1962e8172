"""The URL space: pages at the root, admin, and the REST API below ``/api/v1/``."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from ansf_platform import documentation, problems

handler400 = problems.bad_request
handler403 = problems.forbidden
handler404 = problems.not_found
handler500 = problems.server_error


def _addresses_of(module: str, prefix: str = "") -> list[URLResolver]:
    # The platform knows the packages above it by name only, and runs without them.
    return [path(prefix, include(module))] if find_spec(module) else []


admin.autodiscover()

urlpatterns: list[URLPattern | URLResolver] = [
    *_addresses_of("ratelimit.urls"),  # before the admin: its login is limited
    path("admin/", admin.site.urls),
    path("api/v1/openapi.json", documentation.openapi_json, name="openapi"),
    path("api/v1/docs", documentation.page, name="api-docs"),
    path("api/v1/", include("ansf_platform.accounts.urls")),
    *_addresses_of("gateway.urls"),
    *_addresses_of("patterns.urls", "api/v1/"),
    *_addresses_of("coordination.urls", "api/v1/"),
    *_addresses_of("healthchecks.urls"),
    *_addresses_of("dashboard.urls"),
    # Last, and for every method: a foreign address is a problem document also while DEBUG is on.
    re_path(r"^api/", problems.nowhere),
]
