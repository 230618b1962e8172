"""The period of a policy of concurrency says how long a holder that has died keeps its slot. Until
now nothing followed it, and 30 seconds held for all: those that were left at the default keep that.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import StateApps


def keep_slots(apps: StateApps, _editor: object) -> None:
    policies = apps.get_model("ratelimit", "Policy").objects
    policies.filter(unit="concurrency", period_seconds__lte=1).update(period_seconds=30)


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("ratelimit", "0003_named_policies_wait")]

    operations: ClassVar[list[Operation]] = [
        migrations.RunPython(keep_slots, migrations.RunPython.noop)
    ]
