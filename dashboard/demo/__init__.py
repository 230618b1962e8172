"""The main job, end to end: which windows of a series are like no other, and why.

What it promises
    `manage.py demo` starts an embedded system of its own, in a directory and on ports of its own,
    gives six swarms one graph of tasks, shows how it goes, says what was found, writes a report
    and leaves nothing behind. It never touches the data of a running `up`.

The graph, for each series (w = each of its windows)::

    cut w ─┬─▶ verify w ───────────────────────────────┐
           ├─▶ embed w ───┐                            ├─▶ summarise
           ├─▶ analyse w ─┼─▶ compare ─▶ flag w ───────┘
           └─▶ nearest w ─┘   (all w)
               (cut of every window that does not overlap)

Words
    Samples are standardised by the mean and standard deviation of their whole series, so that an
    unusual level or size counts as well as an unusual shape. The *distance* of a window is the
    dynamic time warping distance to its nearest window that shares no sample with it. A window is
    *discordant* if that distance has a modified z-score of 3.5 or more among all windows of the
    series (Iglewicz and Hoaglin 1993). Feature vectors are a second witness: told, not decisive.
"""
