"""Hot tables are vacuumed after thousands of changes, not after a fifth of their rows."""

from django.db import migrations

HOT = ("task", "attempt", "livekey", "workernode", "lease", "laneentry")
SET = """
ALTER TABLE coordination_{table} SET (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0)
"""


def tune(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in HOT:
            schema_editor.execute(SET.format(table=table))


class Migration(migrations.Migration):
    dependencies = [("coordination", "0002_default_swarm")]
    operations = [migrations.RunPython(tune, migrations.RunPython.noop)]
