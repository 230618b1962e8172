"""Django's SQLite backend, with a finer wait for the writer's turn.

SQLite lets one connection write at a time. Whoever finds the file locked sleeps in growing steps,
up to 100 ms each, while a turn of ours lasts a few: with two workers, a coordinator and a
submission most of the time nobody held the lock and everybody slept. Here the wait is many short
steps with jitter, for as long in all as the option ``timeout`` allows (then, as before, "database
is locked").

There is no queue and no second lock that could be left behind: the lock is SQLite's own, which
the kernel drops with the process that holds it. What is repeated is one statement outside of any
transaction, which did nothing when it was refused. Waits inside a transaction, of
``executemany`` and of plain reads are SQLite's own.
"""
