"""Names of policies that rows hold: one that is misspelt, or that tasks cannot follow, would limit
nothing, and nobody would see it.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from django.core.exceptions import ValidationError
from django.db.models import Q

from ratelimit.models import Policy
from ratelimit.spec import spec_of, wrong_for_tasks


def refuse_unknown(names: object, tenant_id: int | None, known: Collection[str]) -> None:
    """Raise ValidationError for the field ``limits`` unless each name is that of a policy that
    can do for tasks what it says.

    Those in `known` stood there before: their policies may have been removed since.
    """
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValidationError({"limits": "use a list of names of policies"})
    asked = set(names) - set(known)
    if not asked or tenant_id is None:  # without a tenant the form has been refused already
        return
    visible = Policy.objects.filter(Q(tenant=tenant_id) | Q(tenant=None))
    existing = set(visible.values_list("name", flat=True))
    unknown = sorted(asked - existing)
    if unknown:
        raise ValidationError({"limits": [_told(name, existing) for name in unknown[:5]]})
    specs = [spec_of(row) for row in visible.filter(name__in=asked)]
    wrong = [f"{spec.name}: {told}" for spec in specs if (told := wrong_for_tasks(spec))]
    if wrong:
        raise ValidationError({"limits": wrong[:5]})


def _told(name: str, existing: Collection[str]) -> str:
    near = get_close_matches(name, existing, n=1)
    instead = f"did you mean {near[0]!r}?" if near else "`limit list` shows those there are"
    return f"no policy is called {name[:100]!r}, so it would limit nothing: {instead}"
