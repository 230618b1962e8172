"""Rules of the house that no linter knows: sizes, names, imports, and what a file may mention."""
