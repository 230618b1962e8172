"""The cache over REST: what it did, why it would hit, what is void, warm and wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import Endpoint
from ansf_platform.operations import Query, operation
from ansf_platform.problems import ProblemError
from ansf_platform.schemas import boolean, integer
from gateway import catalogue, request
from gateway.api import cache_shapes as shapes
from gateway.cache import feedback, invalidation, warming
from gateway.cache.connection import Away, Connection
from gateway.cache.explaining import explain
from gateway.cache.keys import Partition
from gateway.cache.pool import patient_cache
from gateway.cache.response_cache import ResponseCache
from gateway.cache.statistics import HOURS_KEPT, statistics
from gateway.caching import cache_policy, narrowed
from gateway.catalogue import UnknownPolicy
from gateway.embedder import ModelMissing
from gateway.models import GatewayPolicy
from gateway.request import Message

SHARED = Query("shared", boolean(default=False), "What all tenants share.")
_AIMS = ("tags", "entry", "scope", "all")


class CacheEndpoint(Endpoint):
    """What the views of the cache share."""

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(_as_problem(exc) or exc)

    @property
    def cache(self) -> ResponseCache:
        """Of this process, with patience."""
        return patient_cache()

    @property
    def connection(self) -> Connection:
        """Its way to Redis."""
        return self.cache.connection

    @property
    def own(self) -> Partition:
        """The tenant's partition."""
        return Partition(str(self.tenant.pk), self.cache.prefix)

    def partition(self, *, shared: bool) -> Partition:
        """The tenant's, or the shared one."""
        return Partition("", self.cache.prefix) if shared else self.own

    def policy(self, name: str) -> GatewayPolicy:
        """The policy in force of that name. Raises UnknownPolicy."""
        return catalogue.view().policy(self.tenant.pk, name)


def _as_problem(error: Exception) -> ProblemError | None:
    match error:
        case Away() | ModelMissing():
            return ProblemError(503, f"{error}: try again", headers={"Retry-After": "2"})
        case invalidation.Unknown():
            return ProblemError(404, str(error))
        case UnknownPolicy():
            return ProblemError(422, str(error))
    return None


class Statistics(CacheEndpoint):
    """Counts."""

    @operation(
        "Show what the cache did",
        scope="gateway:read",
        description="Counts of the last hours, the running one included, and sizes now.",
        query=(Query("hours", integer(1, HOURS_KEPT, default=24)), SHARED),
        answers={200: shapes.STATISTICS},
    )
    def get(self, request: Request) -> Response:
        partition = self.partition(shared=self.query["shared"])
        found = statistics(self.connection, partition, self.query["hours"])
        return Response(shapes.render_statistics(found))


class Explanation(CacheEndpoint):
    """Why."""

    http_method_names = ["post"]

    @operation(
        "Explain what the cache would do with a question",
        scope="gateway:read",
        description="Counts and serves nothing. The scope must be given as it is asked in.",
        body=shapes.QUESTION,
        reads=True,
        answers={200: shapes.EXPLANATION},
    )
    def post(self, request: Request) -> Response:
        row = self.policy(self.body.get("policy", ""))
        asked = narrowed(_request_of(str(self.tenant.pk), self.body), row)
        if asked.visibility == "user":
            raise ProblemError(422, "the policy shares answers with nobody but who asked")
        told = explain(self.cache, asked, cache_policy(self.tenant.pk, row, asked))
        return Response(told.as_dict())


class Invalidation(CacheEndpoint):
    """Making void."""

    http_method_names = ["post"]

    @operation(
        "Invalidate answers",
        scope="gateway:admin",
        description="By tags, entry, scope, or all: exactly one of them. In force at once, "
        "in every process; answers that were asked for before are not stored any more.",
        body=shapes.INVALIDATION,
        answers={200: shapes.INVALIDATED},
    )
    def post(self, request: Request) -> Response:
        aims = [name for name in _AIMS if name in self.body]
        if len(aims) != 1:
            raise ProblemError(422, f"name one of {', '.join(_AIMS)}, not {len(aims)} of them")
        shared = self.body.get("shared", False)
        if shared and not getattr(request.user, "is_superuser", False):
            raise ProblemError(403, "all tenants share those answers: only superusers may do that")
        removed = self._invalidate(self.partition(shared=shared), aims[0])
        self.record("cache.invalidated", "cache", aims[0], by=aims[0], shared=shared)
        return Response({"removed_now": removed})

    def _invalidate(self, partition: Partition, aim: str) -> int:
        match aim:
            case "tags":
                invalidation.invalidate_tags(self.connection, partition, self.body["tags"])
                return 0
            case "entry":
                invalidation.invalidate_entry(self.connection, partition, self.body["entry"])
                return 1
            case "scope":
                scope = self.body["scope"]
                return invalidation.invalidate_scope(self.connection, partition, scope)
        return invalidation.invalidate_all(self.connection, partition)


class Warming(CacheEndpoint):
    """Storing answers."""

    http_method_names = ["post"]

    @operation(
        "Store answers before anybody asks",
        scope="gateway:admin",
        description="Refusals and answers beyond the tenant's budget are not kept.",
        body=shapes.WARMING,
        answers={200: shapes.WARMED},
    )
    def post(self, request: Request) -> Response:
        tenant, row = self.tenant.pk, self.policy(self.body.get("policy", ""))
        lines = [warming.prepared(line, str(tenant)) for line in self.body["lines"]]
        if any(line.request.visibility == "global" for line in lines) and not getattr(
            request.user, "is_superuser", False
        ):
            raise ProblemError(403, "only superusers may store what all tenants are served")
        done = warming.warm(
            self.cache,
            [replace(line, request=narrowed(line.request, row)) for line in lines],
            lambda asked: cache_policy(tenant, row, asked),
        )
        self.record("cache.warmed", "cache", tenant, stored=done.stored)
        return Response({"stored": done.stored, "refused": done.refused})


class Report(CacheEndpoint):
    """Feedback."""

    http_method_names = ["post"]

    @operation(
        "Report whether a cached answer was right",
        scope="gateway:call",
        description="A wrong one needs a higher score from then on; a second one ends it. With "
        "the question as it was asked, its pair with the entry's is kept to learn from.",
        body=shapes.REPORT,
        answers={200: shapes.STANDING},
    )
    def post(self, request: Request, entry: str) -> Response:
        standing = feedback.report(
            self.connection, self.own, entry, feedback.Judgement(**self.body)
        )
        self.record("cache.reported", "cache-entry", entry, ok=self.body["ok"])
        return Response(shapes.render_standing(standing))


def _request_of(tenant: str, body: dict[str, Any]) -> request.Request:
    turns = [Message("user", body["question"])]
    if body.get("system"):
        turns.insert(0, Message("system", body["system"]))
    names = ("tier", "locale", "epoch", "temperature", "max_tokens", "visibility")
    given = {name: body[name] for name in names if name in body}
    return request.Request(
        tenant=tenant,
        messages=tuple(turns),
        model=body.get("model") or None,
        tags=tuple(body.get("tags", ())),
        **given,
    )


ADDRESSES = {
    "cache": Statistics,
    "cache/explain": Explanation,
    "cache/invalidate": Invalidation,
    "cache/warm": Warming,
    "cache/entries/<str:entry>/report": Report,
}
