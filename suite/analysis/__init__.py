"""Runs read back: records reduced to outcomes, compared, and set out as a table."""
