"""Addresses of the pages for people."""

from __future__ import annotations

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from dashboard import gateway, limits, views

FAVICON = "dashboard/favicon.svg"


class Favicon(RedirectView):
    """Browsers ask for it at the root, whatever a page says."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        return static(FAVICON)


urlpatterns = [
    path("", views.page, name="dashboard"),
    path("board", views.board, name="dashboard-board"),
    path("feed", views.feed, name="dashboard-feed"),
    path("limits/", limits.page, name="limits-page"),
    path("limits/board", limits.board, name="limits-board"),
    path("limits/<int:policy_id>/", limits.policy_page, name="limits-policy"),
    path("limits/<int:policy_id>/board", limits.policy_board, name="limits-policy-board"),
    path("limits/<int:policy_id>/answer", limits.answer, name="limits-answer"),
    path("gateway/", gateway.page, name="gateway-page"),
    path("gateway/board", gateway.board, name="gateway-board"),
    path("favicon.ico", Favicon.as_view(), name="favicon"),
]
