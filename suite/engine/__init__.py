"""The protocol: one case, its backends prepared, checked, timed in turns, checked again."""
