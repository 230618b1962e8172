"""The views of policies: define, change, remove; look at levels, ask what would happen, reset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.accounts.authentication import Principal
from ansf_platform.accounts.models import Tenant
from ansf_platform.endpoints import Endpoint, refuse_stale, tagged
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError, invalid
from ansf_platform.requests import request_id
from ansf_platform.schemas import boolean, choice
from ratelimit import asking, definitions, selectors, shapes
from ratelimit.buckets import Bucket
from ratelimit.definitions import Author
from ratelimit.errors import Invalid, NotFound, PolicyError, Refused
from ratelimit.forecast import forecast
from ratelimit.models import Policy
from ratelimit.selectors import KeyLevel
from ratelimit.spec import spec_from, spec_of

OWN = ("token", "user", "address")  # of a platform's policy one asks only about oneself


class LimitEndpoint(Endpoint):
    """What the views of policies share: who writes, which rows exist, errors as problems."""

    def handle_exception(self, exc: Exception) -> Response:
        known = isinstance(exc, PolicyError)
        return super().handle_exception(as_problem(exc) if known else exc)  # type: ignore[arg-type]

    @property
    def trusted(self) -> bool:
        """Whether the platform's own policies may be changed."""
        return bool(getattr(self.request.user, "is_superuser", False))

    @property
    def author(self) -> Author:
        """Who changes."""
        return Author(self.principal.actor, request_id(self.request._request))  # noqa: SLF001

    def visible(self) -> QuerySet[Policy]:
        """The tenant's policies and the platform's."""
        return selectors.visible(self.tenant)

    def policy(self, limit_id: int, *, write: bool = False) -> Policy:
        """The policy, locked when the request changes it. Raises NotFound, ProblemError."""
        rows = self.visible()
        if write:
            rows = rows.select_for_update(of=("self",))
        row = rows.filter(pk=limit_id).first()
        if row is None:
            raise NotFound(f"there is no limit '{limit_id}'")
        if write:
            self.refuse_platform(platform=row.tenant_id is None)
        return row

    def refuse_platform(self, *, platform: bool) -> None:
        """403 for whoever may not write the platform's policies."""
        if platform and not self.trusted:
            raise ProblemError(403, "this is a limit of the platform: only superusers may do that")

    @property
    def sight(self) -> Tenant | None:
        """Whose keys are shown; a superuser is shown all."""
        return None if self.trusted else self.tenant

    def bucket(self, row: Policy, about: dict[str, str]) -> Bucket:
        """The bucket asked about. Raises ProblemError for what is not the asker's."""
        if not self.trusted:
            _refuse_foreign(row, about, self.principal)
        return asking.bucket_of(row, {"tenant": str(self.tenant.pk), **about})


def _refuse_foreign(row: Policy, about: dict[str, str], principal: Principal) -> None:
    kind, _, number = principal.actor.partition(":")
    mine = {"tenant": str(principal.tenant.pk), kind: number}
    if about.get("tenant", mine["tenant"]) != mine["tenant"]:
        raise ProblemError(403, "that tenant is not yours")
    wrong = [name for name in OWN if name in about and about[name] != mine.get(name)]
    if wrong and row.tenant_id is None:
        raise ProblemError(403, f"of a platform's limit you see your own {wrong[0]} only")


def as_problem(error: PolicyError) -> ProblemError:
    """404, 409 or 422, with what the error tells."""
    match error:
        case NotFound():
            return ProblemError(404, error.detail)
        case Refused():
            return ProblemError(409, error.detail)
        case Invalid():
            return invalid(error.errors)
    return ProblemError(422, error.detail)


class Limits(LimitEndpoint):
    """The policies a tenant sees."""

    @operation(
        "List limits",
        scope="limits:read",
        query=(
            Query("unit", choice(*Policy.Unit.values)),
            Query("applies_to", choice(*Policy.Place.values)),
            Query("enabled", boolean()),
            Query("platform", boolean(), "The platform's, or the tenant's own."),
            *PAGING,
        ),
        answers={200: shapes.POLICIES},
    )
    def get(self, request: Request) -> Response:
        names = ("unit", "applies_to", "enabled")
        wanted = {name: self.query[name] for name in names if self.query[name] is not None}
        if self.query["platform"] is not None:
            wanted["tenant__isnull"] = self.query["platform"]
        return self.page(self.visible().filter(**wanted), shapes.render, newest=False)

    @operation(
        "Create a limit",
        scope="limits:admin",
        description="In force everywhere within two seconds.",
        body=shapes.POLICY_NEW,
        answers={201: shapes.POLICY},
    )
    def post(self, request: Request) -> Response:
        columns = dict(self.body)
        platform = columns.pop("platform", False)
        self.refuse_platform(platform=platform)
        row = definitions.create(None if platform else self.tenant, spec_from(columns), self.author)
        return tagged(row, shapes.render(row), 201, Location=f"/api/v1/limits/{row.pk}")


class Limit(LimitEndpoint):
    """One policy."""

    @operation("Show a limit", scope="limits:read", answers={200: shapes.POLICY})
    def get(self, request: Request, limit_id: int) -> Response:
        row = self.policy(limit_id)
        return tagged(row, shapes.render(row))

    @operation(
        "Change a limit",
        scope="limits:admin",
        description="In force everywhere within two seconds; what has been used stays used.",
        body=shapes.POLICY_CHANGE,
        conditional=True,
        refuses=(409,),
        answers={200: shapes.POLICY},
    )
    def patch(self, request: Request, limit_id: int) -> Response:
        row = self.policy(limit_id, write=True)
        refuse_stale(request, row)
        given = spec_from({"name": row.name, "limit": row.limit, **self.body})
        changed = {name: getattr(given, name) for name in self.body}
        row = definitions.update(row, replace(spec_of(row), **changed), self.author)
        return tagged(row, shapes.render(row))

    @operation(
        "Remove a limit",
        scope="limits:admin",
        description="What names it is no longer limited by it.",
        conditional=True,
        answers={204: None},
    )
    def delete(self, request: Request, limit_id: int) -> Response:
        row = self.policy(limit_id, write=True)
        refuse_stale(request, row)
        definitions.delete(row, self.author)
        return Response(status=204)


class LimitState(LimitEndpoint):
    """What is seen of a policy."""

    @operation(
        "Show the state of a limit",
        scope="limits:read",
        description="The last minute by seconds, the keys that asked most, the last denial.",
        answers={200: shapes.STATE},
    )
    def get(self, request: Request, limit_id: int) -> Response:
        view = selectors.view_of(self.policy(limit_id), self.sight)
        return Response(shapes.render_state(view))


class LimitTest(LimitEndpoint):
    """What would happen."""

    http_method_names = ["post"]

    @operation(
        "Ask what a limit would do",
        scope="limits:read",
        description="Charges nothing. Name the fields of the subject that the limit counts by.",
        body=shapes.QUESTION,
        optional_body=True,
        answers={200: shapes.ANSWER},
    )
    def post(self, request: Request, limit_id: int) -> Response:
        about: dict[str, Any] = dict(self.body)
        cost, times = about.pop("cost", 1), about.pop("times", 1)
        bucket = self.bucket(self.policy(limit_id), about)
        state, degraded = asking.state_of(bucket)
        found = forecast(bucket, state, cost, times)
        level = KeyLevel(selectors.shown(bucket.key), 0, bucket, state)
        return Response(shapes.render_answer(level, found, degraded=degraded))


class LimitReset(LimitEndpoint):
    """Filling a bucket up."""

    http_method_names = ["post"]

    @operation(
        "Reset a bucket of a limit",
        scope="limits:admin",
        description="Fills up the bucket of one subject.",
        body=shapes.ABOUT,
        optional_body=True,
        answers={200: shapes.RESET},
    )
    def post(self, request: Request, limit_id: int) -> Response:
        row = self.policy(limit_id, write=True)
        bucket = self.bucket(row, self.body)
        if not asking.reset(bucket):
            raise ProblemError(
                503, "Redis does not answer: try again", headers={"Retry-After": "2"}
            )
        self.record("policy.reset", "policy", row.pk, name=row.name, key=bucket.key)
        return Response({"key": selectors.shown(bucket.key), "reset": True})
