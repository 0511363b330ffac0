"""Backends that make the gradient of a table, dense or sparse."""
