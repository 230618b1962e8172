"""Names resolved once per request: definitions and swarms of one tenant."""

from __future__ import annotations

from ansf_platform.accounts.models import Tenant
from ansf_platform.text import is_storable
from coordination.models import Swarm, TaskDefinition

DEFAULT_SWARM = "default"


class Catalogue:
    """What a tenant's names stand for, each looked up at most once."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._definitions: dict[tuple[str, int | None], TaskDefinition | None] = {}
        self._swarms: dict[str, int | None] = {}

    def definition(self, name: str, version: int | None) -> tuple[TaskDefinition | None, str]:
        """The definition (the latest version unless one is named), or why there is none."""
        if (name, version) not in self._definitions:
            found = TaskDefinition.objects.filter(tenant=self.tenant, name=name)
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
        if slug is None and definition.default_swarm_id is not None:
            return definition.default_swarm_id, ""
        name = slug or DEFAULT_SWARM
        if name not in self._swarms:
            swarms = Swarm.objects.filter(tenant=self.tenant, slug=name).only("pk")
            found = swarms.first() if is_storable(name) else None
            self._swarms[name] = found.pk if found else None
        if self._swarms[name] is not None:
            return self._swarms[name], ""
        if slug is None:
            return None, "names none, the definition has no default and no swarm is 'default'"
        return None, f"no swarm is called {slug!r}"
