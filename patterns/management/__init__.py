"""Command line of pattern memory."""
