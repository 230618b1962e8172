"""From nothing to a running system: what `manage.py up` starts, and in which order.

What it promises
    One command and nothing but Python packages. The first page answers within seconds: rows are
    migrated in the command's own process, then web starts alone with the servers, and everything
    else comes after it. What the environment names is used (`DATABASE_URL`, `BROKER_URL`,
    `REDIS_URL`), and nothing is started in its place. Everything listens on 127.0.0.1.

Order
    ::

        rows ──▶ servers, web ──▶ workers ──▶ coordinator, watch, Flower

    Stopping runs the other way: first nothing is dispatched any more, then workers finish what
    they hold, then web and the servers end. Nothing outlives the command, not even its SIGKILL;
    `ansf_platform.services` says how.

On failure
    A child that ends is started again after a growing pause. A server that does not come up ends
    the command with one line, and everything that was started with it. Secrets reach children by
    environment, never as arguments that any user of the machine can list.
"""
