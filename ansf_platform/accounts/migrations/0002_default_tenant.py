"""The tenant that everything belongs to until somebody makes another."""

from django.db import migrations


def create(apps, schema_editor):
    tenants = apps.get_model("accounts", "Tenant").objects
    tenants.get_or_create(slug="default", defaults={"name": "Default"})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
