"""Addresses of the pages for people."""

from __future__ import annotations

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from dashboard import views

FAVICON = "dashboard/favicon.svg"


class Favicon(RedirectView):
    """Browsers ask for it at the root, whatever a page says."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        return static(FAVICON)


urlpatterns = [
    path("", views.page, name="dashboard"),
    path("board", views.board, name="dashboard-board"),
    path("feed", views.feed, name="dashboard-feed"),
    path("favicon.ico", Favicon.as_view(), name="favicon"),
]
