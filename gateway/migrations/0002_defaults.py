"""What every installation begins with; edited or deleted rows do not come back."""

from django.db import migrations


def write(apps, schema_editor):
    provider, _ = apps.get_model("gateway", "Provider").objects.get_or_create(
        name="local", defaults={"kind": "extractive", "retries": 0}
    )
    apps.get_model("gateway", "LanguageModel").objects.get_or_create(
        tenant=None,
        name="extractive",
        defaults={
            "provider": provider,
            "upstream": "extractive",
            "context_window": 1_000_000,
            "max_output": 4096,
            "quality": 0.1,
        },
    )
    apps.get_model("gateway", "GatewayPolicy").objects.get_or_create(tenant=None, name="default")


class Migration(migrations.Migration):

    dependencies = [("gateway", "0001_rows")]

    operations = [migrations.RunPython(write, migrations.RunPython.noop)]
