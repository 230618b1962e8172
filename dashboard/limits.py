"""The pages of limits: all policies, one policy live, and what a request would meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from ansf_platform.accounts.models import Tenant
from dashboard.access import choices_of, part_of, tenant_of
from dashboard.views import fresh
from ratelimit import asking, policies, selectors
from ratelimit.errors import Invalid
from ratelimit.forecast import Forecast, forecast
from ratelimit.models import Policy
from ratelimit.selectors import KeyLevel, PolicyView
from ratelimit.subject import fields_of

MOST_SHOWN = 200  # policies of the list; the admin has the rest
LONGEST_VALUE = 200  # characters of a field of the form
OWN = frozenset({"token", "user", "address"})  # of the platform's policies: superusers ask


@dataclass(frozen=True, slots=True)
class LimitsBoard:
    """All policies that a tenant sees."""

    tenant: Tenant
    now: datetime
    views: Sequence[PolicyView]

    @property
    def known(self) -> bool:
        """Whether anything is known of the levels: Redis answers."""
        return not self.views or any(view.seen.known for view in self.views)

    @property
    def summary(self) -> str:
        """One sentence for those who listen to the page."""
        denying = [view.row.name for view in self.views if view.seen.rate("denied")]
        told = f"{', '.join(denying[:5])} deny" if denying else "no limit denies anything"
        return f"{len(self.views)} limits; {told}"


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks of a policy: the fields of the form, and what came of it."""

    fields: Sequence[tuple[str, str]] = ()
    cost: str = "1"
    times: str = "1"
    asked: bool = False
    level: KeyLevel | None = None
    found: Forecast | None = None
    degraded: bool = False
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class PolicyBoard:
    """One policy."""

    tenant: Tenant
    now: datetime
    view: PolicyView
    question: Question = field(default_factory=Question)

    @property
    def rate(self) -> float:
        """Units that come back each second."""
        return self.view.row.limit / float(self.view.row.period_seconds)

    @property
    def burst(self) -> int:
        """Units at once."""
        row = self.view.row
        return row.limit if row.burst is None else row.burst

    @property
    def summary(self) -> str:
        """One sentence for those who listen to the page."""
        seen = self.view.seen
        if not seen.known:
            return f"{self.view.row.name}: Redis does not answer"
        allowed, denied = seen.rate("allowed"), seen.rate("denied")
        return f"{self.view.row.name}: {allowed:g} allowed and {denied:g} denied per second"


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """All policies."""
    return _page(request, "dashboard/limits/page.html", board=_board(request))


@require_safe
@part_of("limits-page")
def board(request: HttpRequest) -> HttpResponse:
    """The live region of that page."""
    return fresh(render(request, "dashboard/limits/board.html", {"board": _board(request)}))


@require_safe
@login_required
def policy_page(request: HttpRequest, policy_id: int) -> HttpResponse:
    """One policy; also answers its form where no script runs."""
    found = _policy_board(request, policy_id, with_question=True)
    return _page(request, "dashboard/limits/policy.html", board=found)


@require_safe
@part_of("limits-page")
def policy_board(request: HttpRequest, policy_id: int) -> HttpResponse:
    """The live region of that page."""
    found = _policy_board(request, policy_id)
    return fresh(render(request, "dashboard/limits/policy_board.html", {"board": found}))


@require_safe
@part_of("limits-page")
def answer(request: HttpRequest, policy_id: int) -> HttpResponse:
    """What the form asked."""
    row = _policy(tenant_of(request), policy_id)
    context = {"question": _question(request, row), "row": row}
    return fresh(render(request, "dashboard/limits/_answer.html", context))


def _page(request: HttpRequest, template: str, *, board: Any) -> HttpResponse:
    context = {"board": board, "tenant": board.tenant, "choices": choices_of(request)}
    return fresh(render(request, template, context))


def _sight(request: HttpRequest, tenant: Tenant) -> Tenant | None:
    """Whose keys are shown; a superuser is shown those of all tenants."""
    return None if _trusted(request) else tenant


def _trusted(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _board(request: HttpRequest) -> LimitsBoard:
    tenant = tenant_of(request)
    rows = selectors.visible(tenant).order_by("name")[:MOST_SHOWN]
    return LimitsBoard(tenant, timezone.now(), selectors.views(rows, _sight(request, tenant)))


def _policy(tenant: Tenant, policy_id: int) -> Policy:
    row = selectors.visible(tenant).filter(pk=policy_id).first()
    if row is None:
        raise Http404
    return row


def _policy_board(
    request: HttpRequest, policy_id: int, *, with_question: bool = False
) -> PolicyBoard:
    tenant = tenant_of(request)
    row = _policy(tenant, policy_id)
    view = selectors.view_of(row, _sight(request, tenant))
    question = _question(request, row) if with_question else Question()
    return PolicyBoard(tenant, timezone.now(), view, question)


# --- the form -----------------------------------------------------------------------------
def _question(request: HttpRequest, row: Policy) -> Question:
    """What was asked of a policy, judged. What cannot be asked is told, not raised."""
    tenant = tenant_of(request)
    given = {name: request.GET.get(name, "")[:LONGEST_VALUE] for name in _asked_for(row)}
    cost, times = request.GET.get("cost", "1")[:12], request.GET.get("times", "1")[:12]
    asked = "cost" in request.GET
    blank = Question(tuple(given.items()), cost, times, asked)
    if not asked:
        return blank
    about = {"tenant": str(tenant.pk), **{name: text for name, text in given.items() if text}}
    try:
        refused = _refusal(request, row, given)
        return _refused(blank, refused) if refused else _judged(blank, row, about)
    except Invalid as error:
        return _refused(blank, "; ".join(f"{e.field[1:]} {e.message}" for e in error.errors))
    except ValueError as error:
        return _refused(blank, str(error))


def _asked_for(row: Policy) -> list[str]:
    return [name for name in fields_of(policies.of_row(row).template) if name != "tenant"]


def _refusal(request: HttpRequest, row: Policy, given: Mapping[str, str]) -> str:
    if row.tenant_id is None and OWN & given.keys() and not _trusted(request):
        return "only superusers may look at single callers of the platform's limits"
    return ""


def _refused(question: Question, why: str) -> Question:
    return Question(question.fields, question.cost, question.times, asked=True, wrong=why)


def _judged(question: Question, row: Policy, about: Mapping[str, str]) -> Question:
    bucket = asking.bucket_of(row, about)
    cost, times = _whole("cost", question.cost), _whole("requests", question.times)
    state, degraded = asking.state_of(bucket)
    return Question(
        question.fields,
        question.cost,
        question.times,
        asked=True,
        level=KeyLevel(selectors.shown(bucket.key), 0, bucket, state),
        found=forecast(bucket, state, cost, times),
        degraded=degraded,
    )


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name} must be a whole number")
    return int(text)
