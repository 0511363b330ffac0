"""A fleet of machines: what its scheduler takes to measure a plan in shards and put them together."""
