"""The limits that every installation begins with; edited or deleted ones do not come back."""

from django.db import migrations

COMMON = {"unit": "requests", "on_deny": "reject"}
DEFAULTS = [
    {"name": "api-token", "applies_to": "api", "scope": "token",
     "limit": 12_000, "period_seconds": 60, "burst": 2_000, "without_redis": "allow"},
    {"name": "api-user", "applies_to": "api", "scope": "user",
     "limit": 6_000, "period_seconds": 60, "burst": 1_000, "without_redis": "allow"},
    {"name": "login-address", "applies_to": "login", "scope": "address",
     "limit": 120, "period_seconds": 600, "burst": 60, "without_redis": "local"},
    {"name": "login-user", "applies_to": "login", "scope": "user",
     "limit": 20, "period_seconds": 600, "burst": 20, "without_redis": "local"},
]


def write(apps, schema_editor):
    policy = apps.get_model("ratelimit", "Policy")
    for columns in DEFAULTS:
        policy.objects.get_or_create(tenant=None, name=columns["name"], defaults=COMMON | columns)


class Migration(migrations.Migration):

    dependencies = [("ratelimit", "0001_policies")]

    operations = [migrations.RunPython(write, migrations.RunPython.noop)]
