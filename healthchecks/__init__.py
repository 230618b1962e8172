"""Health checks: what is measured, what it means, and when it changed.

What it promises
    A check is a row: a kind of probe, a target, how often, how many readings in a row make a
    change. `manage.py watch` measures the enabled ones and writes a *reading* each time and a
    *flip* whenever the state changes. Nothing stores "the state": it is the last flip, and it is
    shown as stale when no reading arrived in time, because a dead watch must not look healthy.

        HealthCheck ──due──▶ PROBES[kind].run(check, now) ──▶ Measurement
             ▲                    (own thread, own timeout)        │
             │ edits count anew                                    ▼
        admin, REST, YAML            Reading ──▶ monitor.step ──▶ Flip (one transaction)

Invariants
    * A probe that raises, or is late, is a failed reading; it never stops the watch.
    * One row lock per check orders readings: `run now` from a page and the watch can meet.
    * Many `watch` processes may run, the holder of the lease "watch" measures. Should two believe
      to lead for a moment, there are two readings more and nothing else.
    * The watch is not the coordinator: it reports a dead coordinator, and a slow probe delays no
      dispatch.
    * A tenant's check reaches public addresses only; what looks at the platform itself (database,
      disk, leases, ...) belongs to platform-wide checks.

On failure
    While the database is away the last leader goes on measuring, keeps at most a few hundred
    readings, and writes them when it leads again: so an outage of the database is in its history.
    `/livez` looks at nothing; `/readyz` at the database and its migrations; `doctor` at everything.
"""
