"""Placeholder, replaced by the design essay of this package."""
