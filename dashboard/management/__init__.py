"""Command line of the pages."""
