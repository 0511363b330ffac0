"""Runs put together: the shards of a plan become one run of each machine."""
