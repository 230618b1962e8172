"""Private servers and the supervisor, each really started, killed, frozen and orphaned."""
