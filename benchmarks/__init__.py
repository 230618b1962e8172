"""Measuring: scenarios on a whole system, beside the peers, with targets as data.

Every figure has a unit, a sample count, a spread and the command that reproduces it. What is
compared runs interleaved in one go on the same servers (A B A B …), so that a busy machine
slows both; ratios are of medians. A scenario that misses a target says so and exits with 3.

``manage.py bench NAME [--json]``; the scenarios are the modules of :mod:`benchmarks.scenarios`.
"""
