"""The child process that measures, and the parent that outlives it."""
