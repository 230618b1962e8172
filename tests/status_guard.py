"""A trigger that refuses every change of a task's status that is not in TRANSITIONS.

Installed in every database a test writes to, so that the whole suite proves the promise of
:mod:`coordination.lifecycle`: a status moves along :data:`coordination.models.TRANSITIONS` only.
"""

from __future__ import annotations

from coordination.models import TRANSITIONS, Status

REFUSAL = "not in TRANSITIONS"
_ALLOWED = ", ".join(
    f"'{old.value}>{new.value}'" for old, found in TRANSITIONS.items() for new in sorted(found)
)
SQLITE = (
    f"""
    CREATE TRIGGER IF NOT EXISTS status_moves_along_transitions
    BEFORE UPDATE OF status ON coordination_task
    WHEN OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN ({_ALLOWED})
    BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END
    """,
)
POSTGRESQL = (
    f"""
    CREATE OR REPLACE FUNCTION refuse_status_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '{REFUSAL}: % to %', OLD.status, NEW.status
            USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    "DROP TRIGGER IF EXISTS status_moves_along_transitions ON coordination_task",
    f"""
    CREATE TRIGGER status_moves_along_transitions
    BEFORE UPDATE OF status ON coordination_task FOR EACH ROW
    WHEN (OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN ({_ALLOWED}))
    EXECUTE FUNCTION refuse_status_move()
    """,
)


def statements(vendor: str) -> tuple[str, ...]:
    """What installs the trigger; may be run again."""
    return POSTGRESQL if vendor == "postgresql" else SQLITE


def install(connection) -> None:
    """Guard the database behind a Django connection."""
    with connection.cursor() as cursor:
        for statement in statements(connection.vendor):
            cursor.execute(statement)


def walk(tasks, target, **columns) -> None:
    """Bring tasks (a queryset of one status) to a status along the moves, without a worker."""
    [start] = set(tasks.values_list("status", flat=True))
    ids = list(tasks.values_list("pk", flat=True))
    for step in _path(Status(start), Status(target)):
        tasks.model.objects.filter(pk__in=ids).update(status=step, **columns)


def _path(start, target) -> list[Status]:
    paths = [[start]]
    for path in paths:  # breadth first: the first to arrive is the shortest
        if path[-1] == target:
            return path[1:]
        paths += [[*path, step] for step in sorted(TRANSITIONS[path[-1]]) if step not in path]
    raise AssertionError(f"no way from {start} to {target}")
