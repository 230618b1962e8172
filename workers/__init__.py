"""What runs inside a Celery worker: claiming envelopes, executing handlers, beating.

A worker is one *pool* of slots (``cpu``: prefork processes, ``io``: threads) and one *beat*. The
beat is a thread of the main process with a database connection of its own. Every 2 s it renews
the worker's lease (6 s) and names the claims that are still being worked on; its answer brings
the claims to cancel.

::

    message ─▶ claim ─▶ member ─▶ member ─▶ … ─▶ flush ─▶ acknowledge
                 │         │ soft limit: SIGALRM       (every 100 ms at the latest)
                 │         └ hard limit: the child is killed, its claim is missing
                 └ 0 rows: taken back meanwhile, acknowledged and forgotten

When something fails
    * a child dies or the worker is paused: its claims go missing or its lease runs out, and the
      leader takes the tasks back; whatever arrives later is fenced;
    * the database is away: results are kept and recorded when it is back;
    * the broker is away: running work goes on, beats go on.

A handler is an ordinary Celery task. :func:`workers.context.current` gives it its context.
"""
