"""The policies in force, as each process sees them: never more than two seconds behind the rows.

The rows are read again after one second, by whichever thread asks first; the others go on with
the view there is. A database that does not answer leaves the last view in force. Levels live in
Redis under keys that a changed number does not change, so no level is reset.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from django.db import DatabaseError

from ratelimit.buckets import Bucket, OnDeny, Unit, WithoutRedis
from ratelimit.models import Policy
from ratelimit.quota import Quota
from ratelimit.spec import COLUMNS, PolicySpec
from ratelimit.subject import SCOPE_TEMPLATES, Subject, key_of

logger = logging.getLogger(__name__)

NEVER_READ = float("-inf")
FRESH_S = 1.0  # half of what is promised: a process that asks at that moment may be slow
MOST_POLICIES = 5_000  # of all tenants together; `definitions` refuses more


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    """An enabled policy, ready to make buckets."""

    pk: int
    tenant: str | None
    spec: PolicySpec
    quota: Quota
    template: str

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.spec.name

    def bucket_for(self, subject: Subject) -> Bucket | None:
        """The subject's bucket; None when this policy does not count such a subject."""
        if self.tenant is not None and self.tenant != subject.tenant:
            return None
        key = key_of(self.template, subject)
        if key is None:
            return None
        return self.bucket(key, subject.tenant if "{tenant}" in self.template else None)

    def bucket(self, key: str, tenant: str | None = None) -> Bucket:
        """The bucket of a subject's part, as :func:`ratelimit.subject.key_of` makes it.

        `tenant` is whose alone it is, where the part names a tenant.
        """
        # A tenant's bucket begins with @ and its id; of the platform's none may look like that.
        alls = f"%40{key[1:]}" if key.startswith("@") else key
        owned = alls if self.tenant is None else f"@{self.tenant}/{key}"
        spec = self.spec
        return Bucket(
            name=spec.name,
            key=owned,
            quota=self.quota,
            unit=cast("Unit", spec.unit),
            on_deny=cast("OnDeny", spec.on_deny),
            without_redis=cast("WithoutRedis", spec.without_redis),
            shadow=spec.shadow,
            tenant=self.tenant or tenant or "",
        )


Index = Mapping[tuple[str, str | None], tuple[ActivePolicy, ...]]
"""Policies by a name or a place, and whose they are; None: the platform's."""


@dataclass(frozen=True, slots=True)
class View:
    """All enabled policies at one moment, by name and by place."""

    rows: tuple[tuple[Any, ...], ...] = ()
    by_name: Index = field(default_factory=dict)
    by_place: Index = field(default_factory=dict)


class Watcher:
    """Keeps one view per process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.reset()

    def reset(self) -> None:
        """Begin anew: in a process that was forked."""
        self._lock = threading.Lock()
        self._view: View | None = None
        self._until = NEVER_READ

    def view(self) -> View:
        """The policies in force. Raises DatabaseError only while there is no view yet."""
        view = self._view
        if view is not None and self._now() < self._until:
            return view
        if view is not None and not self._lock.acquire(blocking=False):
            return view
        if view is None:
            self._lock.acquire()
        try:
            return self._refreshed()
        finally:
            self._lock.release()

    def ahead(self, soon_s: float) -> None:
        """Read anew what somebody would have to read within `soon_s`, so that no caller waits."""
        with self._lock:
            if self._view is not None:
                self._refreshed(soon_s)

    def forget(self) -> None:
        """Read the rows anew the next time."""
        self._until = NEVER_READ

    def _refreshed(self, soon_s: float = 0.0) -> View:
        view = self._view
        if view is not None and self._now() + soon_s < self._until:
            return view
        # Before the reading: what is written meanwhile is seen within the same time.
        self._until = self._now() + FRESH_S
        try:
            rows = _read()
        except DatabaseError as error:
            if view is None:
                self._until = NEVER_READ
                raise
            logger.warning("policies cannot be read, the last ones stay in force: %s", error)
            return view
        if view is None or view.rows != rows:
            self._view = view = _view_of(rows)
        return view


def _read() -> tuple[tuple[Any, ...], ...]:
    found = Policy.objects.filter(enabled=True).order_by("pk")
    return tuple(found.values_list("pk", "tenant_id", *COLUMNS)[:MOST_POLICIES])


def _view_of(rows: Iterable[tuple[Any, ...]]) -> View:
    rows = tuple(rows)
    by_name: dict[tuple[str, str | None], list[ActivePolicy]] = defaultdict(list)
    by_place: dict[tuple[str, str | None], list[ActivePolicy]] = defaultdict(list)
    for pk, tenant_id, *columns in rows:
        spec = PolicySpec(**dict(zip(COLUMNS, columns, strict=True)))
        try:
            active = activate(pk, tenant_id, spec)
        except ValueError as error:  # a row that no way in of ours would have let pass
            logger.error("policy %s cannot be applied: %s", spec.name, error)  # noqa: TRY400
            continue
        by_name[spec.name, active.tenant].append(active)
        by_place[spec.applies_to, active.tenant].append(active)
    return View(rows, _fixed(by_name), _fixed(by_place))


def _fixed(index: Mapping[tuple[str, str | None], list[ActivePolicy]]) -> Index:
    return {key: tuple(found) for key, found in index.items()}


def _of(index: Index, key: str, tenant: str | None) -> tuple[ActivePolicy, ...]:
    """The platform's, then the tenant's own."""
    own = () if tenant is None else index.get((key, tenant), ())
    return (*index.get((key, None), ()), *own)


def activate(pk: int, tenant_id: int | None, spec: PolicySpec) -> ActivePolicy:
    """A policy ready to make buckets. Raises ValueError for numbers that cannot be."""
    template = spec.key_template or SCOPE_TEMPLATES[spec.scope]
    owner = None if tenant_id is None else str(tenant_id)
    return ActivePolicy(pk, owner, spec, spec.quota, template)


def of_row(row: Policy) -> ActivePolicy:
    """A row as a policy, whether it is enabled or not."""
    spec = PolicySpec(**{name: getattr(row, name) for name in COLUMNS})
    return activate(row.pk, row.tenant_id, spec)


WATCHER = Watcher()
os.register_at_fork(after_in_child=WATCHER.reset)  # a lock may be held in the parent


def forget() -> None:
    """Let this process read the rows anew: after its own change, and between tests."""
    WATCHER.forget()


def by_name(tenant: str | None, name: str) -> tuple[ActivePolicy, ...]:
    """The enabled policies of a name: the platform's and the tenant's own, both or none."""
    return _of(WATCHER.view().by_name, name, tenant)


def buckets_for(names: Iterable[str], subject: Subject) -> tuple[Bucket, ...]:
    """The buckets of the named policies for a subject, in the order of the names.

    A name that is not there (any more) or is disabled limits nothing. Where the platform and the
    tenant have a policy of one name both count, so that a tenant cannot loosen the platform's.
    """
    index = WATCHER.view().by_name
    found = (each for name in dict.fromkeys(names) for each in _of(index, name, subject.tenant))
    return _buckets(found, subject)


def applying(place: str, subject: Subject) -> tuple[Bucket, ...]:
    """The buckets of the policies that apply at a place ("api", "login", "gateway")."""
    return _buckets(_of(WATCHER.view().by_place, place, subject.tenant), subject)


def _buckets(policies: Iterable[ActivePolicy], subject: Subject) -> tuple[Bucket, ...]:
    found = (policy.bucket_for(subject) for policy in policies)
    return tuple(bucket for bucket in found if bucket is not None)
