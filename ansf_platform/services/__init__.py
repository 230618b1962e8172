"""Private servers: Valkey, RabbitMQ and PostgreSQL as children of this process.

What it promises
    One shape for three servers (`server.PrivateServer`): `start()` returns when the server
    answers with its own credentials, `stop()` ends it cleanly within a deadline, `kill()` is a
    crash, `pause()` and `resume()` freeze and thaw it. A stopped or killed server starts again on
    the same port and the same data directory. Everything listens on 127.0.0.1 with a generated
    password, as root and as an ordinary user alike.

    Nothing outlives its parent. Three nets, because each has a hole:

        parent ──spawn──▶ launcher ──exec──▶ server ──▶ its own children
          │                 └ PDEATHSIG: the kernel ends the server when the parent dies (Linux)
          └──pipe──▶ reaper: at end of file it kills the process groups still registered
                             (macOS, and grandchildren that PDEATHSIG does not reach)
        atexit: closes that pipe, so a parent that forgot `stop()` leaves nothing either

    Ports lie below the kernel's ephemeral range: a client that keeps dialling a stopped server on
    an ephemeral port can be given that very port as its source and connect to itself, after which
    the server cannot bind again.

What is durable
    PostgreSQL and RabbitMQ keep what they confirmed, also over `kill()`. Valkey keeps nothing:
    it holds only what may be lost.

On failure
    `BinaryMissing` names the package to install. `StartFailed` carries the end of the server's log.
    A server that misses its deadline is killed before the error is raised.

This package is plain Python: it knows nothing of Django or of the settings.
"""
