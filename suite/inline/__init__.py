"""Functions of a notebook or a test, measured in its own process."""
