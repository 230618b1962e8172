"""Limits of the REST API: every policy that applies to a request, in one call of the limiter.

``PolicyThrottle`` goes where DRF's throttles go. A view may name further policies::

    class Reports(APIView):
        throttle_classes = [PolicyThrottle]
        throttle_scope = "reports"  # one name, or several

Unlike DRF's own it is atomic: of fifty requests at once exactly as many pass as the bucket holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from ansf_platform.accounts.authentication import Principal
from ansf_platform.problems import ProblemError
from ratelimit import policies, pool
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision
from ratelimit.headers import headers_of, wait_of
from ratelimit.subject import Subject

PROBLEM_TYPES = "https://iana.org/assignments/http-problem-types"
EXCEEDED = "Request cannot be satisfied as assigned quota has been exceeded"
REDUCED = "Request cannot be satisfied due to temporary server capacity constraints"
UNKNOWN_ADDRESS = "unknown"  # a request that did not come over a network


class QuotaExceeded(ProblemError):
    """A request beyond its limits: 429, or 503 where a policy sheds or nothing can be counted."""

    def __init__(self, buckets: Sequence[Bucket], decision: Decision) -> None:
        self.wait = wait_of(decision)
        names = list(decision.violated)
        shed = decision.degraded or any(
            bucket.on_deny == "shed" for bucket in buckets if bucket.name in names
        )
        kind, title = (
            ("temporary-reduced-capacity", REDUCED) if shed else ("quota-exceeded", EXCEEDED)
        )
        super().__init__(503 if shed else 429, _detail(names, self.wait))
        self.members = {
            "type": f"{PROBLEM_TYPES}#{kind}",
            "title": title,
            "violated-policies": names,
        }


def _detail(names: Sequence[str], wait: int | None) -> str:
    which = f"the limit {', '.join(names)} is reached" if names else "a limit is reached"
    return f"{which}: try again in {wait} s" if wait else f"{which}: this can never pass"


class PolicyThrottle(BaseThrottle):
    """Applies the policies of the place "api" and those that the view names."""

    place = "api"

    def __init__(self) -> None:
        self._wait: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        """Whether the request may go on; raises :class:`QuotaExceeded` when it may not.

        The fields about limits are added to the view's headers, so that every answer has them.
        """
        subject = self.subject_of(request)
        buckets = (*policies.applying(self.place, subject), *self._named(view, subject))
        if not buckets:
            return True
        decision = pool.limiter().acquire(buckets)
        view.headers.update(headers_of(buckets, decision))
        if decision.allowed:
            return True
        self._wait = decision.retry_after
        raise QuotaExceeded(buckets, decision)

    def wait(self) -> float | None:
        return self._wait

    def subject_of(self, request: Request) -> Subject:
        """Who asks, as far as it is known."""
        address = self.get_ident(request) or UNKNOWN_ADDRESS
        principal = request.auth
        if isinstance(principal, Principal):
            return _subject_of_principal(principal, address)
        user: Any = request.user  # None, where nobody's user is set to that
        known = user is not None and user.is_authenticated
        return Subject(user=str(user.pk) if known else None, address=address)

    @staticmethod
    def _named(view: Any, subject: Subject) -> tuple[Bucket, ...]:
        names = getattr(view, "throttle_scope", None) or ()
        return policies.buckets_for([names] if isinstance(names, str) else names, subject)


def _subject_of_principal(principal: Principal, address: str) -> Subject:
    kind, _, number = principal.actor.partition(":")
    return Subject(
        tenant=str(principal.tenant.pk),
        user=number if kind == "user" else None,
        token=number if kind == "token" else None,
        address=address,
    )


def address_of(request: HttpRequest) -> str:
    """The client's address, seen through as many proxies as NUM_PROXIES says."""
    return BaseThrottle().get_ident(request) or UNKNOWN_ADDRESS  # type: ignore[arg-type]
