"""The views of what checks measured and when their state changed."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.schemas import moment
from healthchecks.api import shapes
from healthchecks.api.checks import CheckEndpoint
from healthchecks.models import Flip, Reading


class CheckReadings(CheckEndpoint):
    """What a check measured."""

    @operation(
        "List the readings of a health check, newest first",
        scope="health:read",
        query=(Query("since", moment(), "Only from then on."), *PAGING),
        answers={200: shapes.READINGS},
    )
    def get(self, request: Request, check_id: int) -> Response:
        rows = Reading.objects.filter(health_check=self.check(check_id))
        if self.query["since"] is not None:
            rows = rows.filter(at__gte=self.query["since"])
        return self.page(rows, shapes.render_reading)


class CheckFlips(CheckEndpoint):
    """When the state of a check changed."""

    @operation(
        "List the flips of a health check, newest first",
        scope="health:read",
        query=(Query("since", moment(), "Only from then on."), *PAGING),
        answers={200: shapes.FLIPS},
    )
    def get(self, request: Request, check_id: int) -> Response:
        rows = Flip.objects.filter(health_check=self.check(check_id))
        if self.query["since"] is not None:
            rows = rows.filter(at__gte=self.query["since"])
        return self.page(rows, shapes.render_flip)
