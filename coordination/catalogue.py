"""Names resolved once per request: definitions and swarms of one tenant."""

from __future__ import annotations

from ansf_platform.accounts.models import Tenant
from ansf_platform.text import is_storable
from coordination import sql
from coordination.models import Swarm, TaskDefinition
from coordination.requests import NOBODY, Submitter
from coordination.rows import NewTask
from coordination.subjects import SetNames, SwarmNames, counts_by, refuses, subject_of
from ratelimit import policies
from ratelimit.buckets import Bucket

DEFAULT_SWARM = "default"


class Catalogue:
    """What a tenant's names stand for, each looked up at most once."""

    def __init__(self, tenant: Tenant, by: Submitter = NOBODY) -> None:
        self.tenant = tenant
        self.by = by
        self._named: dict[int, SwarmNames] = {}
        self._sets: dict[tuple[int, int], int] = {}
        self._refusing: dict[int, tuple[Bucket, ...]] = {}
        self._definitions: dict[tuple[str, int | None], TaskDefinition | None] = {}
        self._swarms: dict[str, int | None] = {}

    def definition(self, name: str, version: int | None) -> tuple[TaskDefinition | None, str]:
        """The definition (the latest version unless one is named), or why there is none."""
        if (name, version) not in self._definitions:
            found = TaskDefinition.objects.filter(tenant=self.tenant, name=name)
            found = found.select_related("default_swarm")
            if version is not None:
                found = found.filter(version=version)
            latest = found.order_by("-version").first() if is_storable(name) else None
            self._definitions[name, version] = latest
        definition = self._definitions[name, version]
        if definition is None:
            label = name if version is None else f"{name} v{version}"
            return None, f"no task definition is called {label!r}"
        if not definition.enabled:
            return None, f"{definition} is disabled"
        return definition, ""

    def swarm_for(self, definition: TaskDefinition, slug: str | None) -> tuple[int | None, str]:
        """The id of the named swarm, else of the definition's own, else of ``default``."""
        if slug is None and definition.default_swarm is not None:
            return self._note(definition.default_swarm), ""
        name = slug or DEFAULT_SWARM
        if name not in self._swarms:
            swarms = Swarm.objects.filter(tenant=self.tenant, slug=name).only(
                "pk", "slug", "limits"
            )
            found = swarms.first() if is_storable(name) else None
            self._swarms[name] = self._note(found) if found else None
        if self._swarms[name] is not None:
            return self._swarms[name], ""
        if slug is None:
            return None, "names none, the definition has no default and no swarm is 'default'"
        return None, f"no swarm is called {slug!r}"

    def _note(self, swarm: Swarm) -> int:
        names = SwarmNames(str(self.tenant.pk), swarm.slug, tuple(swarm.limits))
        self._named[swarm.pk] = names
        return swarm.pk

    def limit_set(self, definition: TaskDefinition, swarm_id: int) -> int:
        """The limit set of such tasks; 0 where neither definition nor swarm names a policy."""
        pair = definition.pk, swarm_id
        if pair not in self._sets:
            names = (*definition.limits, *self._named[swarm_id].limits)
            self._sets[pair] = self._interned(definition, swarm_id, names) if names else 0
        return self._sets[pair]

    def _interned(self, definition: TaskDefinition, swarm_id: int, names: tuple[str, ...]) -> int:
        tenant = str(self.tenant.pk)
        subject = {
            "definition": definition.pk,
            "swarm": swarm_id,
            "user": self.by.user if counts_by(tenant, names, "user") else "",
            "token": self.by.token if counts_by(tenant, names, "token") else "",
        }
        found = sql.fetch(_FIND, subject)
        if not found:
            sql.change(_INTERN, subject)
            found = sql.fetch(_FIND, subject)
        return int(found[0]["id"])

    def refusing(self, task: NewTask) -> tuple[Bucket, ...]:
        """The buckets that have to let it in before it is stored."""
        if task.limit_set == 0:
            return ()
        if task.limit_set not in self._refusing:
            swarm, definition = self._named[task.swarm_id], task.definition
            names = SetNames(definition.name, tuple(definition.limits), self.by.user, self.by.token)
            found = policies.buckets_for((*names.limits, *swarm.limits), subject_of(swarm, names))
            self._refusing[task.limit_set] = tuple(filter(refuses, found))
        return self._refusing[task.limit_set]


_FIND = """
SELECT id FROM coordination_limitset WHERE definition_id = %(definition)s
    AND swarm_id = %(swarm)s AND "user" = %(user)s AND token = %(token)s
"""
_INTERN = """
INSERT INTO coordination_limitset (definition_id, swarm_id, "user", token)
VALUES (%(definition)s, %(swarm)s, %(user)s, %(token)s)
ON CONFLICT (definition_id, swarm_id, "user", token) DO NOTHING
"""
