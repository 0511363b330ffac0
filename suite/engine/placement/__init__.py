"""Where a table lies: pages of the host, a mapped file, memory of the host that a GPU reads."""
