"""Graphs of tasks: their shape (`graph`), pure and checked before anything is stored."""
