"""Command line of coordination."""
