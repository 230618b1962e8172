"""A stream of samples, judged window by window and sample by sample while it arrives.

::

    bytes ─▶ lines ─▶ sources ─▶ batch ─┬─▶ here: this process ────────────────┬─▶ report
    (feed)   bad ones    │ samples of   └─▶ afar: tasks of a definition, so ───┘   verdicts,
             are told    │ each source      many in flight and no more            summary
                         └ windows: embed ─▶ match, forecast; formulas: monitor

What is promised
----------------
* Both ways say the same of every window and every formula; only latencies differ.
* Nothing is held that grows with the stream: a line, a source, a batch, what is in flight and
  what is kept of each source have their limits.
* Nothing is lost silently. A bad line is told with its number and counted. Whoever writes into a
  pipe is slowed down while this cannot keep up. Only with ``drop`` is the input read at its own
  pace; then whole windows are left out, those of the slowest stage first, then whole stretches of
  lines, and both are told and counted.

What an anomaly is
------------------
* ``unknown``: the window's nearest known pattern has a lower score than `least`. Unless that is
  given it is taken from the memory itself: 99 % of the known patterns have a better neighbour
  among the others (see `knowing`).
* ``violated``: a formula's robustness falls below zero; told where it begins and where it ends.
* ``unexpected``: a sample of the window's last step lies outside the interval that Holt-Winters
  gave for it from the samples before. Of windows that follow their past about one in a thousand
  does; one in two hundred where a window holds two seasons only.

A *verdict* is one line about a window, or about a formula that began to hold or to be violated.
*Latency* is the time from the moment a sample's line was read to the moment when every verdict
that it completed was written.

Rooms: `feed` and `lines` (bytes, from a file or a pipe), `sources` (samples, windows, batches),
`windows` and `watching` (the stages), `here` and `afar` (the two ways), `shedding` (what is left
out), `report` and `latency` (what is told), `session` (the loop), `plan` (what was asked for).
"""

from __future__ import annotations
