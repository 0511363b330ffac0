"""Runs of many machines: a page of all of them, and a site of pages that any static host can serve."""
