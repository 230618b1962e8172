"""Faults on purpose: processes killed, frozen and cut off, and what became of every task.

Each test submits tasks, breaks something on private ports, and ends with one line:

``attempted``
    Tasks whose submission was answered with success.
``ok``
    Tasks that ended as the scenario says they must: succeeded with their effect recorded, or,
    where a task is made to kill its worker, dead.
``lost``
    ``attempted`` less ``ok``: not ended when the deadline passed, or ended otherwise, or
    succeeded without a recorded effect.
``duplicate effects``
    Tasks with more than one recorded effect. The effect of `bench.effect` is a row that the
    handler writes inside ``ctx.commit()``, in a table without any unique key; that of
    `bench.result` is an attempt recorded as succeeded.
``re-executed``
    Starts of handlers beyond one per task, told by a file that handlers append to. Not an error:
    side effects outside rows are at-least-once. A scenario that allows none says so.
``fenced``
    Results refused because their task had been taken back meanwhile (the system's own counter).
``charged``
    Attempts other than successes that count against a task's ``max_attempts``.
``recovery``
    Seconds until the work went on: from the kill or freeze, or from the end of an outage, to the
    start of the last interrupted task's next execution; where nothing was interrupted, to the
    end of the first task that ended afterwards. The sentence in the line says which.

The table of all lines is printed at the end of the run.
"""
