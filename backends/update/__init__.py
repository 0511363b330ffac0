"""Backends that change the rows of a table as an optimiser does."""
