"""Command line of the platform itself."""
