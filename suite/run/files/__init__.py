"""Files that a run makes beside its records, and removes."""
