"""A swarm for tasks that name none, with one agent that takes whatever the workers can."""

from django.db import migrations


def create(apps, schema_editor):
    tenant = apps.get_model("accounts", "Tenant").objects.get(slug="default")
    swarm, _ = apps.get_model("coordination", "Swarm").objects.get_or_create(
        tenant=tenant, slug="default", defaults={"name": "Default"}
    )
    agents = apps.get_model("coordination", "Agent").objects
    agents.get_or_create(swarm=swarm, name="any", defaults={"slots": 1000})


class Migration(migrations.Migration):
    dependencies = [("coordination", "0001_initial"), ("accounts", "0002_default_tenant")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
