"""Admin lists of tables too large to count: pages by primary key, newest first.

Counting a million rows takes longer than showing fifty of them, and a page by offset reads all
that it skips. A page here is one range of the key: `before` or `after` the edge of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.admin import ModelAdmin, ShowFacets
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest

if TYPE_CHECKING:  # generic for the type checker only
    _ModelAdmin = ModelAdmin[Any]
else:
    _ModelAdmin = ModelAdmin

OLDER, NEWER = "before", "after"


class KeysetChangeList(ChangeList):
    """A list that knows whether there is more, but never how much."""

    cursor: tuple[str, Any] | None = None
    newer_url: str = ""
    older_url: str = ""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Model]:
        # Taken out here, or the rest of the list would take it for the name of a column.
        for name in (OLDER, NEWER):
            self.params.pop(name, None)
            values = self.filter_params.pop(name, None)
            if values:
                self.cursor = (name, self._key(values[-1]))
        return super().get_queryset(request, exclude_parameters)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str | Combinable]:
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        direction, key = self.cursor or (OLDER, None)
        found: QuerySet[Any] = self.queryset
        if direction == NEWER:
            found = found.order_by("pk").filter(pk__gt=key)
        elif key is not None:
            found = found.filter(pk__lt=key)
        rows = list(found[: self.list_per_page + 1])
        has_more = len(rows) > self.list_per_page
        rows = rows[: self.list_per_page]
        if direction == NEWER:
            rows.reverse()
        self._show(rows)
        if rows:
            has_older = has_more if direction == OLDER else True
            has_newer = has_more if direction == NEWER else key is not None
            self.older_url = self.get_query_string({OLDER: rows[-1].pk}) if has_older else ""
            self.newer_url = self.get_query_string({NEWER: rows[0].pk}) if has_newer else ""

    def _show(self, rows: list[Any]) -> None:
        self.result_list = rows
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = Paginator(rows, self.list_per_page)
        if isinstance(self.model_admin, KeysetAdmin):
            self.model_admin.complete_page(rows)

    def _key(self, text: str) -> Any:
        try:
            return self.lookup_opts.pk.to_python(text)
        except ValidationError as error:
            raise IncorrectLookupParameters from error


class KeysetAdmin(_ModelAdmin):
    """An admin whose list is a :class:`KeysetChangeList`; nothing in it sorts or counts."""

    change_list_template = "admin/keyset_list.html"
    list_per_page = 50
    # Not False: that would join every relation on display, and a planner that starts from the
    # small tables sorts the whole large one.
    list_select_related: ClassVar[bool | list[str] | tuple[str, ...]] = ()
    sortable_by = ()
    show_full_result_count = False
    show_facets = ShowFacets.NEVER

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def complete_page(self, rows: list[Any]) -> None:
        """Add to the rows of a page what one query can fetch for all of them."""
