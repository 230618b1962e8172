"""Whom a limited task is counted for, interned so that the task carries one number.

A task's ``limit_set`` is 0 or the id of a row here. Which policies hold, and how fast, is looked
up when the leader dispatches: names come from the definition and the swarm, the subject from here.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from coordination.models.configuration import Swarm, TaskDefinition


class LimitSet(models.Model):
    """All tasks of one definition in one swarm, by one submitter where a policy counts by that."""

    swarm = models.ForeignKey(Swarm, on_delete=models.CASCADE, related_name="+")
    definition = models.ForeignKey(
        TaskDefinition, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.CharField(max_length=20, blank=True, help_text="Id, where a policy asks for it.")
    token = models.CharField(max_length=20, blank=True, help_text="The same of an API token.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["definition", "swarm", "user", "token"], name="one_set_per_subject"
            ),
        ]

    def __str__(self) -> str:
        return f"limit set {self.pk}"
