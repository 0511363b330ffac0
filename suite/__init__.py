"""Measures embedding lookup: how fast, in which framework, and how far from the limit."""
