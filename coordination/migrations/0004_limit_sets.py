"""Tasks carry the number of a limit set, by which what is ready is ordered."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_default_tenant'),
        ('coordination', '0003_vacuum_early'),
    ]

    operations = [
        migrations.CreateModel(
            name='LimitSet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.CharField(blank=True, help_text='Id, where a policy asks for it.', max_length=20)),
                ('token', models.CharField(blank=True, help_text='The same of an API token.', max_length=20)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='task',
            name='task_ready',
        ),
        migrations.RemoveIndex(
            model_name='task',
            name='task_ready_ranked',
        ),
        migrations.RemoveField(
            model_name='task',
            name='limit_keys',
        ),
        migrations.AddField(
            model_name='task',
            name='limit_set',
            field=models.PositiveIntegerField(db_default=0, default=0, help_text='Id of a LimitSet; 0: no policies when it was submitted.'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('status', 'ready')), fields=['pool', 'swarm', 'priority', 'limit_set', 'ready_at'], name='task_ready'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('rank__gt', 0), ('status', 'ready')), fields=['pool', 'swarm', 'priority', 'limit_set', '-rank'], name='task_ready_ranked'),
        ),
        migrations.AddField(
            model_name='limitset',
            name='definition',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='coordination.taskdefinition'),
        ),
        migrations.AddField(
            model_name='limitset',
            name='swarm',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='coordination.swarm'),
        ),
        migrations.AddConstraint(
            model_name='limitset',
            constraint=models.UniqueConstraint(fields=('definition', 'swarm', 'user', 'token'), name='one_set_per_subject'),
        ),
    ]
