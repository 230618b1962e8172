"""Pages for people: what needs a human first, then what runs.

What it promises
    Every number is read from rows when it is asked for, for one tenant, on the database's clock.
    Nothing is stored for the page, nothing is estimated, and what has a window or a bound says so.

        rows ──change──▶ reader (one per process) ──poke──▶ /feed ──"changed"──▶ browser
          ▲                                                                         │
          └───────────────── GET /board (tenant, session) ◀──────pull───────────────┘

Invariants
    * The feed carries no data: a lost, doubled or late poke cannot show anything false.
    * A stream holds no database connection; clients are counted and bounded; a burst of changes
      is at most two pokes a second, fewer where reading the board is slow.
    * The page needs no inline script and no style attribute, and is whole without any script.
    * A state is colour, icon and word.

On failure
    Without the feed the page polls every 10 s and says so; without the server it says since when,
    and greys what it shows. An ended session leads to the login, never into the page's region.
"""
